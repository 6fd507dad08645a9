/**
 * Preloaded into each service: when the parent dies without a word, the channel to it breaks, and the service ends as
 * if it had been told to.
 */
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// Waiting for that is no reason to stay alive.
process.channel?.unref()
