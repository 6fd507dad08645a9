import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { DebianRoot } from './debian-root.ts'

/** Packages with the names, files and habits of the reference server's, as far as a successor has to know them. */
const FORMER = {
  'rustdesk-server-hbbs': {
    program: 'hbbs',
    unit: 'rustdesk-hbbs.service',
    onPurge: 'rm -rf /var/lib/rustdesk-server',
  },
  'rustdesk-server-hbbr': { program: 'hbbr', unit: 'rustdesk-hbbr.service', onPurge: 'true' },
  'rustdesk-server-utils': { program: 'rustdesk-utils', unit: undefined, onPurge: 'true' },
} as const

/** Installs them. Their programs only say their names. */
export function installFormerPackages(root: DebianRoot): void {
  const folder = mkdtempSync(root.path('/tmp/former-'))
  const inside = folder.slice(root.folder.length)
  for (const [name, { program, unit, onPurge }] of Object.entries(FORMER)) {
    const tree = join(inside, name)
    const control = { Package: name, Version: '1.1.17', Architecture: 'all', Maintainer: 'nobody <nobody@example.com>' }
    const fields = Object.entries({ ...control, Description: program }).map(([field, value]) => `${field}: ${value}\n`)
    root.write(join(tree, 'DEBIAN/control'), fields.join(''))
    root.write(join(tree, 'DEBIAN/postrm'), `#!/bin/sh\nif [ "$1" = purge ]; then ${onPurge}; fi\n`)
    root.write(join(tree, 'usr/bin', program), `#!/bin/sh\necho ${program}\n`)
    if (unit) root.write(join(tree, 'lib/systemd/system', unit), `[Service]\nExecStart=/usr/bin/${program}\n`)
    root.run('chmod', '-R', 'u=rwX,go=rX', tree)
    root.run('chmod', '755', join(tree, 'DEBIAN/postrm'), join(tree, 'usr/bin', program))
    root.run('dpkg-deb', '--build', tree, `${tree}.deb`)
    root.run('dpkg', '-i', `${tree}.deb`)
  }
  rmSync(folder, { recursive: true })
}
