import type { ApiConfig } from './api-settings.ts'
import type { HbbrConfig } from './hbbr-settings.ts'
import type { HbbsConfig } from './hbbs-settings.ts'
import { setting } from './setting.ts'
import { trimmedText } from './value-schemas.ts'

/** What `npm start` can be told besides the settings of its services. */
export const standaloneSettings = {
  dataDir: setting({
    variable: 'DATA_DIR',
    flag: { value: 'folder' },
    schema: trimmedText('a folder'),
    fallback: './data',
    meaning: 'Folder of keys, database, lists and `.env`.',
  }),
}

export interface StandaloneConfig {
  /** Absolute. */
  readonly dataDir: string
  readonly hbbs: HbbsConfig
  readonly hbbr: HbbrConfig
  /** Undefined where API_URL names another one, or none. */
  readonly api: ApiConfig | undefined
}
