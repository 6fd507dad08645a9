import { registerPk } from './device-messages.ts'
import type { Source } from './fleet.ts'
import { readRegistrationAnswer } from './server-answer.ts'

/** Registrations under way at once, each from an address of its own: an answer does not name the device. */
const MAX_LANES = 64
const ANSWER_TIMEOUT_MS = 1000
const REFUSED_PAUSE_MS = 300
const MAX_TRIES = 5

/** Registers devices as a stock client does: RegisterPeer, RegisterPk when asked for it, RegisterPeer again. */
export class Registrations {
  done = 0
  wrong = 0
  lost = 0

  async run(sources: readonly Source[]): Promise<void> {
    const left = sources.values()
    const lane = async () => {
      // All lanes draw from one iterator.
      for (const source of left) await this.#registerAll(source)
    }
    await Promise.all(Array.from({ length: MAX_LANES }, lane))
  }

  #registerAll(source: Source): Promise<void> {
    let device = 0
    let step: 'asking' | 'registering' | 'confirming' = 'asking'
    let tries = 0
    let sent: Buffer
    let timer: NodeJS.Timeout
    let pause: NodeJS.Timeout | undefined
    return new Promise((resolve, reject) => {
      const repeat = () => {
        this.lost++
        if (++tries < MAX_TRIES) return send(sent)
        reject(new Error(`the device at ${source.ip} got no answer while ${step}, ${MAX_TRIES} times`))
      }
      const send = (datagram: Buffer) => {
        sent = datagram
        timer.refresh()
        source.socket.send(datagram)
      }
      timer = setTimeout(repeat, ANSWER_TIMEOUT_MS)
      const next = () => {
        tries = 0
        step = 'asking'
        if (device < source.devices) return send(source.heartbeats[device] as Buffer)
        clearTimeout(timer)
        resolve()
      }
      source.receive = (datagram) => {
        const answer = readRegistrationAnswer(datagram)
        if (step === 'asking' && answer === 'key-wanted') {
          step = 'registering'
          send(registerPk(source.firstDevice + device))
        } else if (step === 'registering' && answer === 'accepted') {
          step = 'confirming'
          send(source.heartbeats[device] as Buffer)
        } else if (step === 'confirming' && answer === 'known') {
          this.done++
          device++
          next()
        } else if (step === 'registering' && answer === 'refused') {
          // A store that many share may be late: the device comes again.
          clearTimeout(pause)
          pause = setTimeout(repeat, REFUSED_PAUSE_MS)
        } else if (answer !== 'key-wanted') {
          // A repeated datagram may be asked for its key twice; everything else is wrong.
          this.wrong++
          clearTimeout(timer)
          reject(new Error(`the device at ${source.ip} was answered '${answer}' while ${step}`))
        }
      }
      next()
    })
  }
}
