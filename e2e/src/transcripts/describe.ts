import type { Client } from './inbox.ts'
import { decodeFields, toHex } from './messages.ts'
import type { StreamClient } from './tcp-client.ts'
import type { Fields, Step, StepOf, Varying } from './transcript.ts'
import { WsClient } from './ws-client.ts'

/** What the reference did in a step. */
export function describeStep(step: Step): string {
  if ('expect' in step) {
    return `${step.expect} receives ${step.fields ? describeFields(expectedFields(step)) : step.hex}`
  }
  if ('expectBytes' in step) return `${step.expectBytes} receives bytes ${step.hex}`
  if ('expectWs' in step) return `${step.expectWs} receives ${step.opcode} ${step.hex}`
  if ('expectClosed' in step) {
    const after = step.afterMs ? ` after ${Math.round(step.afterMs / 1000)} s` : ''
    return `${step.expectClosed} is closed${after}`
  }
  if ('expectNothing' in step) {
    return `${step.expectNothing} receives nothing${step.stillOpen ? ' and stays open' : ''}`
  }
  if ('console' in step) return `the console answers ${JSON.stringify(step.answer)}`
  if ('open' in step) return `${step.open} connects`
  return Object.entries(step).map(([name, value]) => `${name} ${JSON.stringify(value)}`)[0] ?? 'nothing'
}

/** The fields of an expected message, with a name instead of each that varies. */
export function expectedFields(step: StepOf<'expect'>): Fields {
  const fields = structuredClone(step.fields ?? {})
  if (step.innerSuffix !== undefined) fields['unknown fields'] = step.innerSuffix
  for (const [path, varying] of Object.entries(step.varies ?? {})) {
    const [member, field] = path.split('.') as [string, string]
    ;(fields[member] as Fields)[field] = nameOf(varying)
  }
  return fields
}

/** What lies in the inbox of a client, as far as it can be understood. */
export async function describeUnread(name: string, client: Client | StreamClient): Promise<string | undefined> {
  if (!client.pending()) return undefined
  if (client instanceof WsClient) {
    const frame = await client.takeFrame(0)
    if (frame && frame.opcode !== 'binary') return `${name} receives ${frame.opcode} ${toHex(frame.data)}`
    if (frame) return `${name} receives ${describeMessage(frame.data)}`
  }
  const message = 'takeMessage' in client ? await client.takeMessage(0) : undefined
  return `${name} receives ${message ? describeMessage(message) : client.pending()}`
}

/** Stands in a description for a field that differs from run to run. */
export function nameOf(varying: Varying): string {
  if ('portOf' in varying) return `(port of ${varying.portOf})`
  return `(address of ${'mangled' in varying ? varying.mangled : varying.mangledAddressOf})`
}

/** Status line and names of the headers, which may come in any case and order. */
export function describeUpgrade([status = '', ...headers]: readonly string[]): string {
  const names = headers.map((line) => line.slice(0, line.indexOf(':')).toLowerCase())
  return `${status} with ${names.sort().join(', ')}`
}

function describeMessage(message: Uint8Array): string {
  const fields = decodeFields(message)
  return fields ? describeFields(fields) : toHex(message)
}

/** Fields on one line; long bytes are left out. */
export function describeFields(fields: Fields): string {
  const shorten = (_: string, value: unknown) =>
    typeof value === 'string' && /^[0-9a-f]{80,}$/.test(value) ? `(${value.length / 2} bytes)` : value
  const lines = JSON.stringify(fields, shorten, 1)
  return lines.replace(/\n\s*/g, ' ').replace(/"([a-z_ ]+)": /g, '$1: ')
}
