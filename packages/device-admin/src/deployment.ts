import { decodeBase64, PUBLIC_KEY_BYTES } from '@tryst/protocol'
import {
  type AccessMode,
  type AccessStore,
  type FoundIdentity,
  type IdentityStore,
  MIN_REGISTERED_ID_BYTES,
  type PeerId,
} from '@tryst/rendezvous'
import type { DeployRequest, DeployResult } from './administration.ts'
import { hashToken } from './deploy-tokens.ts'

export interface DeploymentParts {
  readonly mode: AccessMode
  readonly identities: Pick<IdentityStore, 'create'>
  readonly access: AccessStore
  readonly idMaxBytes: number
  readonly uuidMaxBytes: number
  readonly clock: () => number
}

/** What no client takes for an id. */
const NOT_IN_AN_ID = /[\p{Cc}\s"<>/\\|?*]/u

/** The device that a request is about. */
interface Applicant {
  readonly id: PeerId
  readonly uuid: Uint8Array
  readonly publicKey: Uint8Array
}

/**
 * Registers a device before it comes, for whoever has a token. Who has none does not learn whether the id is taken. A
 * device that is deployed twice costs one use.
 */
export async function deployDevice(parts: DeploymentParts, request: DeployRequest): Promise<DeployResult> {
  const { mode, access, identities, clock } = parts
  if (mode === 'open') return 'NOT_ENABLED'
  const hash = hashToken(request.token)
  if ((await access.spendToken(hash, clock())) !== 'accepted') return 'bad-token'
  let isUsed = false
  try {
    const applicant = readApplicant(request, parts)
    if (!applicant) return 'INVALID_INPUT'
    const { created, identity } = await identities.create({ ...applicant, ip: '' })
    isUsed = created
    if (!created && !isSame(identity, applicant)) return 'ID_TAKEN'
    await access.settle({ ...applicant, ip: '' })
    return 'OK'
  } finally {
    if (!isUsed) await access.returnToken(hash)
  }
}

function readApplicant(
  { id, uuid, pk }: DeployRequest,
  { idMaxBytes, uuidMaxBytes }: DeploymentParts,
): Applicant | undefined {
  const idBytes = Buffer.byteLength(id)
  if (idBytes < MIN_REGISTERED_ID_BYTES || idBytes > idMaxBytes || NOT_IN_AN_ID.test(id)) return undefined
  const uuidBytes = decodeBase64(uuid)
  const publicKey = decodeBase64(pk)
  if (!uuidBytes || uuidBytes.length === 0 || uuidBytes.length > uuidMaxBytes) return undefined
  if (publicKey?.length !== PUBLIC_KEY_BYTES) return undefined
  return { id: id as PeerId, uuid: uuidBytes, publicKey }
}

const isSame = (stored: FoundIdentity, { uuid, publicKey }: Applicant): boolean =>
  Buffer.compare(stored.uuid, uuid) === 0 && Buffer.compare(stored.publicKey, publicKey) === 0 && !stored.movedTo
