import type { Device } from '@tryst/client'
import { rendezvous } from '@tryst/protocol'
import { check, type Known, type Verdict } from '../check.ts'
import { type Finding, fine, wrong } from '../finding.ts'
import { ID_PREFIX } from '../own-identity.ts'
import { clientNetwork } from '../probes/network.ts'
import { type RegistrationAnswer, registerOwnDevice } from '../probes/own-device.ts'

export interface RegistrationFacts {
  readonly id: string
  readonly answer: RegistrationAnswer
  readonly device: Device | undefined
}

/** Registers this machine as a device, as all of them do. */
export const registration = check<RegistrationFacts>({
  name: 'registration',
  needs: ['host', 'idServer', 'udp', 'state'],
  probe: async (known: Known) => {
    const { server, transport } = clientNetwork(known)
    const limitMs = 2 * known.target.limitMs
    const { device, answer } = await registerOwnDevice(server, transport, limitMs)
    known.onEnd(() => device.close())
    return { id: device.id, answer, device }
  },
  judge: judgeRegistration,
})

const { NOT_DEPLOYED, SERVER_ERROR } = rendezvous.RegisterPkResponse.Result

export function judgeRegistration({ id, answer, device }: RegistrationFacts): Verdict {
  if (answer === 'online') {
    const finding = fine('a device registers', `${id}; ids of doctors begin with ${ID_PREFIX}, one for each machine`)
    return { findings: [finding], learned: { device } }
  }
  return { findings: [refused(id, answer)], breaks: ['device'] }
}

function refused(id: string, answer: Exclude<RegistrationAnswer, 'online'>): Finding {
  if (answer === 'silence')
    return wrong(
      'registration-silent',
      'no answer to a registration',
      `${id}: RegisterPk was not answered`,
      "see hbbs' log: the device or this address may be limited or blocked",
    )
  if (answer === 'idTaken')
    return wrong(
      'id-taken',
      `the server has another device under the doctor's id`,
      `the answer to ${ID_PREFIX}… was UUID_MISMATCH`,
      `remove the devices whose ids begin with ${ID_PREFIX} (tryst devices remove ID), and examine again`,
    )
  const { result } = answer
  if (result === NOT_DEPLOYED)
    return fine(
      'only devices that the operator admits may register (ACCESS_MODE); registration, sources and sessions were not checked',
      `${id} was not admitted; with ACCESS_MODE=approve it waits in the list now: approve it and examine again, or refuse it`,
      'not-deployed',
    )
  if (result === SERVER_ERROR)
    return wrong(
      'state-unavailable',
      'the ID server cannot store a device',
      `${id}: SERVER_ERROR`,
      'start Redis, and check REDIS_URL, its password, its memory and the network to it (SQLite: space and rights of the file); hbbs logs the reason',
    )
  return wrong(
    'registration-refused',
    'the ID server refuses a device',
    `${id}: ${rendezvous.RegisterPkResponse.Result[result] ?? result}`,
    'see the log of hbbs: it names the limit or the reason',
  )
}
