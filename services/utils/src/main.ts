import { basename } from 'node:path'
import { packageVersion } from '@tryst/service'
import { runUtils } from './utils.ts'

const name = basename(process.argv[1] ?? 'tryst')
const { output, status } = runUtils({ name, argv: process.argv.slice(2), version: packageVersion })
process.stdout.write(output)
process.exitCode = status
