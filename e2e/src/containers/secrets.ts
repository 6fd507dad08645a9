import type { ComposeStack } from './compose-stack.ts'

/** Enough of a secret to know it by, in the forms in which it might end in a log. */
const FORMS = {
  'password of Redis': (text: string) => [new URL(text.trim()).password],
  'secret key': (text: string) => {
    const bytes = Buffer.from(text.trim(), 'base64').subarray(0, 32)
    return [text.trim().slice(0, 40), bytes.toString('hex'), bytes.toString('base64url').slice(0, 40)]
  },
  'key of the certificate': (text: string) => [text.trim().split('\n')[1] ?? ''],
} as const

/** Names of the secrets of a stack that occur in `text`. @throws Error where the stack has no such secret */
export async function secretsIn(text: string, stack: ComposeStack): Promise<string[]> {
  const secrets = {
    'password of Redis': await stack.exec('hbbs', 'cat', '/run/tryst/redis-url'),
    'secret key': await stack.exec('hbbs', 'cat', '/data/id_ed25519'),
    'key of the certificate': await stack.exec('nginx', 'cat', '/etc/nginx/tls/privkey.pem'),
  }
  return (Object.keys(FORMS) as (keyof typeof FORMS)[]).filter((name) => {
    const forms = FORMS[name](secrets[name])
    const tooShort = forms.find((form) => form.length < 30)
    if (tooShort !== undefined) throw new Error(`the ${name} is not as expected: ${tooShort.length} characters`)
    return forms.some((form) => text.includes(form))
  })
}
