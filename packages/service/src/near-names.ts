import { closest } from 'fastest-levenshtein'

/** The known name that differs by the fewest letters. */
export const nearestName = (name: string, known: Iterable<string>): string => closest(name, [...known])
