/**
 * First step of the command. A check of health is run every few seconds: it does without what the other commands need,
 * whose loading alone would cost several times as much.
 */
const [word = '', ...rest] = process.argv.slice(2)
if (word.toLowerCase() === 'health' && !rest.some((argument) => argument.startsWith('-'))) {
  const { checkHealth } = await import('./health/health.ts')
  const { output, status } = await checkHealth(rest)
  // What did not answer in time may still be waited for.
  process.stdout.write(output, () => process.exit(status))
} else if (word.toLowerCase() === 'init') {
  const { runInit } = await import('./init/init.ts')
  const { output, status } = await runInit({ argv: rest, env: process.env, nowMs: Date.now() })
  process.stdout.write(output)
  process.exitCode = status
} else {
  await import('./main.ts')
}
