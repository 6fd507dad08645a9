export { type AddressLists, newAddressLists } from './address-list-files.ts'
export { EventLog } from './event-log.ts'
export { Hbbr, type HbbrOptions, type HbbrParts } from './hbbr.ts'
