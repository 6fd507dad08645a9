/** What lives on a machine of the laboratory: does what it is asked on stdin, a line of JSON each (./resident.ts). */
import { createInterface } from 'node:readline'
import { type OperationName, operations } from './operations.ts'

for await (const line of createInterface(process.stdin)) {
  const { call, operation, argument } = JSON.parse(line) as { call: number; operation: OperationName; argument: never }
  operations[operation](argument).then(
    (result: unknown) => answer({ call, result }),
    (error: Error) => answer({ call, error: error.stack }),
  )
}
// Whoever asked is gone.
process.exit()

function answer(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}
