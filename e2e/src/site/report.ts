/** Leaves figures that a test measured in its output, in one line. */
export function report(figures: Readonly<Record<string, number>>): void {
  const texts = Object.entries(figures).map(([name, value]) => `${name} ${Math.round(value * 100) / 100}`)
  process.stderr.write(`  measured: ${texts.join(', ')}\n`)
}
