import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Recorded data of the reference implementation, kept outside the repository. */
export const vectorsDir = process.env.VECTORS_DIR ?? resolve(import.meta.dirname, '../../../../shared/vectors')

export const haveVectors = existsSync(join(vectorsDir, 'transcripts.json'))

export const readVectors = <T>(file: string): T => JSON.parse(readFileSync(join(vectorsDir, file), 'utf8')) as T
