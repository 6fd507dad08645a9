import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const PROGRAM = resolve(import.meta.dirname, '../../../services/utils/bin/rustdesk-utils')

export interface Certificates {
  /** Where the certificate and its key are, under the names that nginx is configured with. */
  readonly folder: string
  /** Path of the certificate that a browser is given to accept the others. */
  readonly authority: string
}

/** Has the step that prepares the containers make what this folder lacks: key pair and certificate. */
export async function prepare(folder: string, host: string): Promise<Certificates> {
  const env = { PATH: `${resolve(process.execPath, '..')}:/usr/bin:/bin`, PUBLIC_HOST: host }
  await promisify(execFile)(PROGRAM, ['init', '--keys', folder, '--certificates', folder], { env })
  return { folder, authority: join(folder, 'ca.pem') }
}
