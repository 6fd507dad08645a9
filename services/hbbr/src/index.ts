export { type AddressLists, newAddressLists } from './address-list-files.ts'
export { capacityBitsPerSecond, MAX_DEFAULT_CAPACITY_MEGABITS } from './capacity.ts'
export { EventLog } from './event-log.ts'
export {
  Hbbr,
  type HbbrOptions,
  type HbbrParts,
  type JoinRequest,
  type RelayIdentity,
  type RelayOffers,
} from './hbbr.ts'
export { ParentTickets } from './parent-tickets.ts'
