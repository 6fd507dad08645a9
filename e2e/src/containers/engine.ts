import { spawnSync } from 'node:child_process'
import type { DockerComposeEnvironment } from 'testcontainers'

/** Why nothing can be tested in containers here; undefined: it can. */
export const NO_ENGINE: string | undefined = whyNoEngine()

function whyNoEngine(): string | undefined {
  const engine = spawnSync('docker', ['version', '--format', '{{.Server.Version}}'], { encoding: 'utf8' })
  if (engine.error) return 'docker is not installed; install Docker Engine with its plugin for Compose'
  if (engine.status !== 0) return 'no container engine answers; start dockerd'
  const compose = spawnSync('docker', ['compose', 'version', '--short'], { encoding: 'utf8' })
  return compose.status === 0 ? undefined : 'docker compose is not there; install the plugin for Compose'
}

/** Compose as testcontainers drives it. Loaded only where it is used: it takes a second. */
export async function composeEnvironment(): Promise<typeof DockerComposeEnvironment> {
  // Its cleaner is an image that an engine without a registry has not. Stacks are removed by the tests that made them.
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'
  process.env.TESTCONTAINERS_HOST_OVERRIDE ??= '127.0.0.1'
  return (await import('testcontainers')).DockerComposeEnvironment
}
