/**
 * A received message with some fields changed, to be sent on. Fields that this version does not know go with it: a
 * newer client at the other end may. They are not among the enumerable properties, so a spread would lose them.
 */
export function forwarded<T extends object>(received: T, changes: { readonly [K in keyof T]?: T[K] }): T {
  const copy = Object.create(Object.getPrototypeOf(received), Object.getOwnPropertyDescriptors(received)) as T
  return Object.assign(copy, changes)
}
