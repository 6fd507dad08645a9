import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeFolder } from '@tryst/service'

/** Undefined where there is no such file. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Puts a file there that is complete as soon as it is there; false when there was one, which is left as it is. */
export function writeOnce(path: string, content: string, mode: number): boolean {
  const draft = writeDraft(path, content, mode)
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    unlinkSync(draft)
  }
}

/** Puts a file there, in the place of what was there; readers see the one or the other. */
export function replaceFile(path: string, content: string, mode: number): void {
  renameSync(writeDraft(path, content, mode), path)
}

function writeDraft(path: string, content: string, mode: number): string {
  makeFolder(dirname(path))
  const draft = `${path}.${randomUUID()}`
  writeFileSync(draft, content, { mode, flush: true })
  return draft
}

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
