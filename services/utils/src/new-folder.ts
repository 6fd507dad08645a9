import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { makeFolder } from '@tryst/service'
import { DataFolderError } from './data-folder.ts'

/** Files that appear together under their names, or not at all. */
export interface NewFolder {
  /** Where a file is to be written first. */
  draftOf(name: string): string
  /** The last file is the one whose being there means that all is there. Throws DataFolderError; nothing is replaced. */
  publish(last: string): void
  /** Removes what was not published. May be called twice. */
  discard(): void
}

/** A folder that is not there yet appears as a whole; where it is there, its new files do. @throws DataFolderError */
export function newFolder(path: string): NewFolder {
  const isThere = existsSync(path)
  const draft = inWords(path, () => {
    const parent = isThere ? path : dirname(path)
    makeFolder(parent)
    return mkdtempSync(join(parent, `.${basename(path)}.`))
  })
  return {
    draftOf: (name) => join(draft, name),
    publish: (last) =>
      inWords(path, () => {
        if (isThere) {
          for (const name of readdirSync(draft).filter((each) => each !== last))
            place(join(draft, name), join(path, name))
          place(join(draft, last), join(path, last))
          syncFolder(path)
          rmSync(draft, { recursive: true, force: true })
        } else {
          // mkdtemp lets nobody else in.
          chmodSync(draft, 0o777 & ~process.umask())
          syncFolder(draft)
          renameSync(draft, path)
          syncFolder(dirname(path))
        }
      }),
    discard: () => rmSync(draft, { recursive: true, force: true }),
  }
}

function place(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error
    // Some file systems know no links; there a reader may see the file while it is being filled.
    copyFileSync(from, to, constants.COPYFILE_EXCL)
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

function inWords<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException
    const why =
      code === 'EEXIST' || code === 'ENOTEMPTY'
        ? 'another program has put files there meanwhile; name a new folder'
        : `cannot be made (${code}); let this user write there, and see that the disk has room`
    throw new DataFolderError(`${path}: ${why}`, { cause: error })
  }
}
