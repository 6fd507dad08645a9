import { Controller, type ControllerOptions, Device, type DeviceOptions } from '@tryst/client'

/** Who has servers, and so guests: devices, controllers, and whoever else is to be closed before the servers are. */
export class Host {
  readonly #guests = new Set<{ close(): unknown }>()

  /** Is closed with the others. */
  guest<T extends { close(): unknown }>(guest: T): T {
    this.#guests.add(guest)
    return guest
  }

  /** Sends everybody away; the servers go on. */
  async dismissGuests(): Promise<void> {
    const guests = [...this.#guests]
    this.#guests.clear()
    await Promise.all(guests.map((guest) => guest.close()))
  }

  /** A device that is online. */
  protected async welcomeDevice(options: DeviceOptions): Promise<Device> {
    const device = this.guest(new Device(options))
    await device.start()
    return device.online()
  }

  protected welcomeController(options: ControllerOptions): Controller {
    return this.guest(new Controller(options))
  }
}
