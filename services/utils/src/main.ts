import { basename } from 'node:path'
import { processInput } from '@tryst/service'
import { runUtils } from './utils.ts'

const name = basename(process.argv[1] ?? 'tryst')
const print = (text: string) => void process.stdout.write(text)
const { output, status } = await runUtils({ ...processInput(), name, print })
print(output)
process.exitCode = status
