import { distance } from 'fastest-levenshtein'

/** The known name that differs least; undefined when all differ by more than this many letters. */
export function nearestName(
  name: string,
  known: Iterable<string>,
  maxLetters = Number.POSITIVE_INFINITY,
): string | undefined {
  let nearest: string | undefined
  let least = maxLetters + 1
  for (const candidate of known) {
    const letters = distance(name, candidate)
    if (letters < least) [nearest, least] = [candidate, letters]
  }
  return nearest
}
