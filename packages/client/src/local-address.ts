/** What a socket of this family is bound to: the wanted address where it is of this family, else any. */
export function localAddressFor(family: 4 | 6, wanted: string | undefined): string {
  const any = family === 6 ? '::' : '0.0.0.0'
  return wanted !== undefined && wanted.includes(':') === any.includes(':') ? wanted : any
}
