import { RELAY_STEPS, type TracePart, type TraceStep } from '@tryst/rendezvous'

/** In one message: as many as a relay notes in a second. */
const MAX_PARTS = 1_000
const MAX_TEXT = 200

/** What the relay of the same process tree has noted: `{ trace: [...] }`. Nothing where the message is about something else. */
export function partsOfRelay(message: unknown): readonly TracePart[] {
  if (!isRecord(message) || !Array.isArray(message.trace)) return []
  return message.trace.slice(0, MAX_PARTS).filter(isPart)
}

const isPart = (part: unknown): part is TracePart =>
  isRecord(part) &&
  part.role === 'relay' &&
  typeof part.atMs === 'number' &&
  isText(part.node) &&
  isText(part.session) &&
  Array.isArray(part.steps) &&
  part.steps.every(isStep)

const isStep = (step: unknown): step is TraceStep =>
  isRecord(step) &&
  typeof step.atMs === 'number' &&
  RELAY_STEPS.some((name) => name === step.step) &&
  Object.values(step).every((value) => typeof value === 'number' || isText(value))

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_TEXT

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
