import type { DatagramPort } from '@tryst/rendezvous'
import { type UdpOptions, UdpPort } from '@tryst/transport'
import { Door } from './door.ts'

/** The UDP port; what is sent while it is shut is lost. */
export class DeviceDoor implements DatagramPort {
  private constructor(private readonly door: Door<UdpPort>) {}

  /** @throws the listen error of Node */
  static async open(options: UdpOptions): Promise<DeviceDoor> {
    const openOn = (port: number) => UdpPort.open({ ...options, port })
    return new DeviceDoor(await Door.open(options.port, openOn, options.onError))
  }

  send(payload: Uint8Array, ip: string, port: number): void {
    this.door.listener?.send(payload, ip, port)
  }

  /** To be said again and again: opening is tried anew where it failed. */
  keep(wanted: 'open' | 'shut'): void {
    this.door.keep(wanted)
  }

  /** May be called twice. */
  close(): Promise<void> {
    return this.door.close()
  }
}
