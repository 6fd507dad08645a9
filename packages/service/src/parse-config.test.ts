import { describe, expect, it } from '@jest/globals'
import { ConfigError } from './config-error.ts'
import {
  type ConfigInput,
  type ParsedConfig,
  parseApiConfig,
  parseHbbrConfig,
  parseHbbsConfig,
  parseStandaloneConfig,
} from './parse-config.ts'

interface Given {
  readonly argv?: readonly string[]
  readonly env?: Record<string, string>
  /** By absolute path. */
  readonly files?: Record<string, string>
}

const CWD = '/srv/tryst'

const inputOf = ({ argv = [], env = {}, files = {} }: Given): ConfigInput => ({
  argv,
  env,
  cwd: CWD,
  version: '1.2.3',
  readFile: (path) => {
    const content = files[path]
    if (content === 'unreadable') throw Object.assign(new Error('denied'), { code: 'EACCES' })
    return content
  },
})

function running<Config>(parse: (input: ConfigInput) => ParsedConfig<Config>, given: Given) {
  const parsed = parse(inputOf(given))
  if (parsed.kind !== 'run') throw new Error(`asked for a text: ${parsed.text}`)
  return parsed
}

const hbbs = (given: Given = {}) => running(parseHbbsConfig, given)
const hbbr = (given: Given = {}) => running(parseHbbrConfig, given)
const api = (given: Given = {}) => running(parseApiConfig, given)
const standalone = (given: Given = {}) => running(parseStandaloneConfig, given)

function problemsOf(parse: () => unknown): readonly string[] {
  try {
    parse()
  } catch (error) {
    if (error instanceof ConfigError)
      return error.message
        .split('\n')
        .slice(1)
        .map((line) => line.trim())
    throw error
  }
  throw new Error('the configuration was accepted')
}

describe('the configuration of hbbs', () => {
  it('has the defaults of the reference where nothing is set', () => {
    const { config, warnings } = hbbs()
    expect(config).toMatchObject({
      port: 21116,
      bind: undefined,
      key: '-',
      relayServers: [],
      rmemBytes: 0,
      serial: 0,
      rendezvousServers: [],
      softwareUrl: '',
      mask: undefined,
      localIp: undefined,
      alwaysUseRelay: false,
      dbPath: './db_v2.sqlite3',
    })
    expect(warnings).toEqual([])
  })

  it('has safe defaults for what the reference does not know', () => {
    expect(hbbs().config).toMatchObject({
      console: false,
      trustedProxies: ['127.0.0.0/8', '::1/128'],
      proxyProtocol: false,
      sqliteSync: 'normal',
      metricsBind: undefined,
      publicHost: undefined,
      drainSeconds: 0,
      connectionsPerSource: 2000,
      firstMessageMaxBytes: 65_536,
      idMaxBytes: 100,
      uuidMaxBytes: 256,
      lookupsPerMinute: 2000,
      newIdsPerDay: 300,
    })
  })

  it('is frozen, lists included', () => {
    const { config } = hbbs({ env: { RELAY_SERVERS: 'a,b' } })
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.relayServers)).toBe(true)
  })

  it('takes flag, --config file, .env and environment in this order', () => {
    const everywhere: Given = {
      argv: ['-c', 'extra.ini', '--port', '30001'],
      env: { PORT: '30004', BIND: '192.0.2.4', SERIAL: '4', MASK: '10.0.4.0/24' },
      files: {
        [`${CWD}/extra.ini`]: 'port=30002\nbind=192.0.2.2\n',
        [`${CWD}/.env`]: 'PORT=30003\nBIND=192.0.2.3\nSERIAL=3\n',
      },
    }
    expect(hbbs(everywhere).config).toMatchObject({
      port: 30001,
      bind: '192.0.2.2',
      serial: 3,
      mask: '10.0.4.0/24',
    })
  })

  it('reads only what stands before the first section of a file', () => {
    const files = { [`${CWD}/.env`]: '; comment\n# comment\nSERIAL = "5"\n\n[hbbs]\nPORT=30000\nthis is no setting\n' }
    expect(hbbs({ files }).config).toMatchObject({ serial: 5, port: 21116 })
  })

  it('lets the last of several lines win, whatever their spelling', () => {
    const files = { [`${CWD}/.env`]: '\uFEFFRELAY-SERVERS=a\r\nrelay_servers=b\r\n' }
    expect(hbbs({ files }).config.relayServers).toEqual(['b'])
  })

  it.each([
    [{ 'RELAY-SERVERS': 'a', RELAY_SERVERS: 'b', 'relay-servers': 'c' }, 'a'],
    [{ relay_servers: 'd', RELAY_SERVERS: 'b', 'relay-servers': 'c' }, 'b'],
    [{ relay_servers: 'd', 'relay-servers': 'c', Relay_Servers: 'e' }, 'c'],
    [{ relay_servers: 'd', Relay_Servers: 'e', 'RELAY-servers': 'f' }, 'd'],
    [{ Relay_Servers: 'e', 'RELAY-servers': 'f' }, 'f'],
    [{ rElAy_SeRvErS: 'g' }, 'g'],
  ])('takes of several spellings in the environment %j the first of the known order', (env, expected) => {
    expect(hbbs({ env }).config.relayServers).toEqual([expected])
  })

  it('takes an empty value for set, so that it hides what stands below', () => {
    const { config } = hbbs({ argv: ['-r', ''], env: { RELAY_SERVERS: 'a', KEY: '' } })
    expect(config.relayServers).toEqual([])
    expect(config.key).toBe('')
  })

  it.each([[['-p', '30000']], [['-p30000']], [['-p=30000']], [['--port', '30000']], [['--port=30000']]])(
    'reads %j',
    (argv) => {
      expect(hbbs({ argv }).config.port).toBe(30_000)
    },
  )

  it.each([
    [['-k', ''], ''],
    [['-k='], ''],
    [['--key='], ''],
    [['-k', '-'], '-'],
    [['-k-'], '-'],
    [['-k_'], '_'],
    [['--key', '_'], '_'],
    [['-k', 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='], 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='],
  ])('reads the key in %j', (argv, key) => {
    expect(hbbs({ argv }).config.key).toBe(key)
  })

  it('knows every flag of the reference', () => {
    const argv = ['-b', '::1', '-p', '3', '-k', 'x', '-r', 'a:1,b', '-M', '100', '-s', '2', '-R', 'c', '-u', 'http://u']
    expect(hbbs({ argv: [...argv, '--mask', '192.168.0.0/16'] }).config).toMatchObject({
      bind: '::1',
      port: 3,
      key: 'x',
      relayServers: ['a:1', 'b'],
      rmemBytes: 100,
      serial: 2,
      rendezvousServers: ['c'],
      softwareUrl: 'http://u',
      mask: '192.168.0.0/16',
    })
  })

  it('takes every other setting as a flag, too', () => {
    const argv = ['--metrics-bind', '127.0.0.1:9100', '--public-host=hbbs.example.com', '--sqlite-sync', 'full']
    expect(hbbs({ argv }).config).toMatchObject({
      metricsBind: { host: '127.0.0.1', port: 9100 },
      publicHost: 'hbbs.example.com',
      sqliteSync: 'full',
    })
  })

  it('lists everything that is wrong at once, each with its place and remedy', () => {
    const problems = problemsOf(() =>
      hbbs({
        argv: ['--prot', '30000', '-r', 'http://relay', 'stray', '-s'],
        env: { PORT: 'abc', ALWAYS_USE_RELAY: 'true', TRUSTED_PROXIES: '10.0.0.0/33' },
        files: { [`${CWD}/.env`]: 'MASK=fe80::/10\nSQLITE_SYNC\nexport LOG_LEVEL=info\nDB_URL=postgres://x\n' },
      }),
    )
    expect(problems).toEqual([
      '-s (command line): needs a value',
      '--prot (command line): is not known; did you mean --port?',
      'stray (command line): belongs to no flag; see --help',
      "SQLITE_SYNC (.env, line 2): write NAME=value, or begin a comment with '#'",
      'export LOG_LEVEL (.env, line 3): a name has letters, digits, - and _; write NAME=value alone',
      'PORT=abc (environment): use a whole number from 3 to 65533',
      expect.stringMatching(
        /^--relay-servers=http:\/\/relay \(command line\): 'http:\/\/relay' is no server; use host/,
      ),
      'MASK=fe80::/10 (.env): use an IPv4 network, for example 192.168.0.0/16',
      'ALWAYS_USE_RELAY=true (environment): use Y or N',
      expect.stringMatching(
        /^DB_URL=postgres:\/\/x \(.env\): postgres is no database that is known here; use the path/,
      ),
      expect.stringMatching(/^TRUSTED_PROXIES=10.0.0.0\/33 \(environment\): '10.0.0.0\/33' is no network/),
    ])
  })

  it.each([
    ['--relay-server', '--relay-servers'],
    ['--keys', '--key'],
    ['--hlep', '--help'],
    ['-x', '-h'],
    ['--prot=1', '--port'],
  ])('names the known flag that is nearest to %s', (flag, nearest) => {
    const [problem] = problemsOf(() => hbbs({ argv: [flag] }))
    expect(problem).toContain(`did you mean ${nearest}?`)
  })

  it('refuses a flag that has swallowed the next one', () => {
    expect(problemsOf(() => hbbs({ argv: ['-r', '--port', '30000'] }))).toContain(
      '--relay-servers (command line): needs a value before --port',
    )
  })

  it('tells a --config file that is missing or unreadable', () => {
    expect(problemsOf(() => hbbs({ argv: ['-c', 'no.ini'] }))).toEqual([
      `--config (${CWD}/no.ini): there is no such file; name an INI file with settings`,
    ])
    expect(problemsOf(() => hbbs({ argv: ['-c', '/x.ini'], files: { '/x.ini': 'unreadable' } }))).toEqual([
      '--config (/x.ini): cannot be read (EACCES); let this user read the file',
    ])
  })

  it('reads a secret from the file that NAME_FILE names, without its last line end', () => {
    const files = { '/run/secrets/key': 'secret text\n' }
    expect(hbbs({ env: { KEY_FILE: '/run/secrets/key' }, files }).config.key).toBe('secret text')
    expect(hbbs({ argv: ['--key-file', '/run/secrets/key'], files }).config.key).toBe('secret text')
  })

  it('lets a secret of a stronger source win over a file of a weaker one', () => {
    const files = { '/run/secrets/key': 'file' }
    expect(hbbs({ argv: ['-k', 'flag'], env: { KEY_FILE: '/run/secrets/key' }, files }).config.key).toBe('flag')
    const dotEnv = { ...files, [`${CWD}/.env`]: 'KEY_FILE=/run/secrets/key' }
    expect(hbbs({ env: { KEY: 'environment' }, files: dotEnv }).config.key).toBe('file')
  })

  it.each([
    [{ KEY_FILE: '/none' }, 'KEY_FILE=/none (environment): there is no such file; name the file that holds the secret'],
    [{ KEY_FILE: '/empty' }, 'KEY_FILE=/empty (environment): the file is empty; put the secret into it'],
    [{ KEY_FILE: '/shut' }, 'KEY_FILE=/shut (environment): cannot be read (EACCES); let this user read the file'],
    [{ KEY: 'a', KEY_FILE: '/empty' }, 'KEY, KEY_FILE (environment): both are set; keep one of the two'],
  ])('refuses %j', (env, problem) => {
    expect(problemsOf(() => hbbs({ env, files: { '/empty': '\n', '/shut': 'unreadable' } }))).toEqual([problem])
  })

  it.each(['RELAY_SERVER', 'RELAYSERVERS', 'relay-server', 'PUBLIC_HOSTS', 'PROT', 'KEYS', 'ALWAYS_USE_RELY'])(
    'warns about %s, which looks like a setting and is none',
    (name) => {
      const { warnings } = hbbs({ env: { [name]: 'x' } })
      expect(warnings).toEqual([expect.stringContaining(`${name} (environment): is not a setting; did you mean `)])
    },
  )

  it('does not warn about what belongs to others', () => {
    const env = {
      SINGLE_BANDWIDTH: '3',
      DATA_DIR: '/x',
      PORT_FOR_API: '1',
      DATABASE_URL: 'x',
      HOST: 'x',
      MAIL: 'x',
      HOME: '/root',
      PATH: '/bin',
      USER: 'x',
      TERM: 'x',
      LANG: 'x',
      PWD: '/',
      SHLVL: '1',
    }
    expect(hbbs({ env }).warnings).toEqual([])
  })

  it('says that accepted settings without use have none', () => {
    const { warnings } = hbbs({ env: { MAX_DATABASE_CONNECTIONS: '5', TEST_HBBS: 'no' } })
    expect(warnings).toEqual([
      expect.stringMatching(/^TEST_HBBS=no \(environment\): accepted and not used/),
      expect.stringMatching(/^MAX_DATABASE_CONNECTIONS=5 \(environment\): accepted and not used/),
    ])
  })

  it.each([
    [{ LOG_LEVEL: 'debug', RUST_LOG: 'warn' }, 'debug'],
    [{ RUST_LOG: 'warn' }, 'warn'],
    [{ RUST_LOG: 'hyper=trace,WARN' }, 'warn'],
    [{ RUST_LOG: 'off' }, 'silent'],
    [{ LOG_LEVEL: '' }, 'info'],
  ])('takes the level of the log from %j', (env, level) => {
    const { config, warnings } = hbbs({ env })
    expect(config.logLevel).toBe(level)
    expect(warnings).toEqual([])
  })

  it('says so when RUST_LOG names no general level', () => {
    const { config, warnings } = hbbs({ env: { RUST_LOG: 'hbbs=debug' } })
    expect(config.logLevel).toBe('info')
    expect(warnings).toEqual(['RUST_LOG=hbbs=debug (environment): is not understood here; use LOG_LEVEL'])
  })
})

describe('the configuration of hbbr', () => {
  it('is an open relay on 21117 where nothing is set, as the reference is', () => {
    expect(hbbr().config).toMatchObject({
      port: 21117,
      key: '',
      singleMegabits: 128,
      totalMegabits: 1024,
      limitedMegabits: 32,
      downgradeThreshold: 0.66,
      downgradeStartSeconds: 1800,
      firstMessageMaxBytes: 4096,
    })
  })

  it.each([
    [{ argv: ['-p', '30000'], env: { PORT: '40000' } }, 30_000],
    [{ env: { PORT: '40000' } }, 40_001],
    [{ files: { [`${CWD}/.env`]: 'port=50000' } }, 50_001],
    [{ env: { PORT: '' } }, 21_117],
  ])('takes its port from the flag as it is, from the variable plus one: %j', (given, port) => {
    expect(hbbr(given).config.port).toBe(port)
  })

  it.each(['0', '-5', 'abc', '1.5'])('ignores the PORT %s, and says so', (PORT) => {
    const { config, warnings } = hbbr({ env: { PORT } })
    expect(config.port).toBe(21_117)
    expect(warnings).toEqual([`PORT=${PORT} (environment): is no port number and is ignored; the relay uses 21117`])
  })

  it('refuses a PORT that leaves no room for the WebSocket port', () => {
    expect(problemsOf(() => hbbr({ env: { PORT: '65533' } }))).toEqual([
      'PORT=65533 (environment): use a whole number from 1 to 65532',
    ])
  })

  it('does not know --config', () => {
    expect(problemsOf(() => hbbr({ argv: ['-c', 'x.ini'] }))).toHaveLength(1)
  })

  it.each(['fast', '0', '-1', '', 'NaN', 'Infinity'])(
    'never takes the bandwidth %j for the default in silence',
    (text) => {
      const given = { env: { SINGLE_BANDWIDTH: text } }
      if (text === '') expect(hbbr(given).config.singleMegabits).toBe(128)
      else expect(problemsOf(() => hbbr(given))).toHaveLength(1)
    },
  )

  it('takes fractions of a bandwidth', () => {
    expect(hbbr({ env: { TOTAL_BANDWIDTH: '0.5', DOWNGRADE_THRESHOLD: '.75' } }).config).toMatchObject({
      totalMegabits: 0.5,
      downgradeThreshold: 0.75,
    })
  })
})

describe('the configuration of both in one', () => {
  it('keeps its data in ./data and closes its relay', () => {
    const { config } = standalone()
    expect(config.dataDir).toBe(`${CWD}/data`)
    expect(config.hbbs.key).toBe('-')
    expect(config.hbbr.key).toBe('_')
  })

  it('reads .env in the data folder only', () => {
    const files = { [`${CWD}/.env`]: 'PORT=30000', '/var/lib/tryst/.env': 'PORT=40000' }
    const { config } = standalone({ env: { DATA_DIR: '/var/lib/tryst' }, files })
    expect([config.hbbs.port, config.hbbr.port]).toEqual([40_000, 40_001])
  })

  it('gives the relay the port behind the ID server, whatever names it', () => {
    const { config } = standalone({ argv: ['-p', '30000', '-k', ''] })
    expect([config.hbbs.port, config.hbbr.port]).toEqual([30_000, 30_001])
    expect([config.hbbs.key, config.hbbr.key]).toEqual(['', ''])
  })

  it('puts metrics on loopback ports that may be taken, or where it is told to', () => {
    const bind = ({ config }: ReturnType<typeof standalone>) => [config.hbbs.metricsBind, config.hbbr.metricsBind]
    expect(bind(standalone())).toEqual([
      { host: '127.0.0.1', port: 21_120, whenTaken: 'warn' },
      { host: '127.0.0.1', port: 21_121, whenTaken: 'warn' },
    ])
    expect(bind(standalone({ env: { METRICS_BIND: '[::1]:9100' } }))).toEqual([
      { host: '::1', port: 9100, whenTaken: 'fail' },
      { host: '::1', port: 9101, whenTaken: 'fail' },
    ])
  })

  it('tells what is wrong with a variable of both once', () => {
    expect(problemsOf(() => standalone({ env: { BIND: 'eth0' } }))).toHaveLength(1)
  })
})

describe('the configuration of the API', () => {
  it('takes the port two below the ID server, which PORT names, and its own from the flag', () => {
    expect(api().config).toMatchObject({ port: 21_114, key: '-', statusPage: true, publicUrl: undefined })
    expect(api({ env: { PORT: '30000' } }).config.port).toBe(29_998)
    expect(api({ argv: ['-p', '8080'], env: { PORT: '30000' } }).config.port).toBe(8_080)
  })

  it.each(['2', '65534', 'x'])('refuses PORT=%s', (PORT) => {
    expect(problemsOf(() => api({ env: { PORT } }))).toEqual([
      `PORT=${PORT} (environment): use a whole number from 3 to 65533`,
    ])
  })

  it('warns once of a name that old clients take for the public server', () => {
    const { warnings } = standalone({ env: { PUBLIC_HOST: 'myrustdesk.com' } })
    expect(warnings).toEqual([
      expect.stringMatching(/^PUBLIC_HOST=myrustdesk.com \(environment\): .* use another name$/),
    ])
    expect(standalone({ env: { PUBLIC_HOST: 'rustdesk.example.com' } }).warnings).toEqual([])
  })

  it('is there with npm start unless another one is named, or none', () => {
    const { config } = standalone({ argv: ['-p', '30000'], env: { API_PUBLIC_URL: 'https://h.example.com/' } })
    expect(config.api).toMatchObject({ port: 29_998, publicUrl: 'https://h.example.com' })
    expect(config.api?.metricsBind).toEqual({ host: '127.0.0.1', port: 21_122, whenTaken: 'warn' })
    for (const API_URL of ['none', 'http://192.0.2.1:21114']) {
      expect(standalone({ env: { API_URL } }).config).toMatchObject({ api: undefined, hbbs: { apiUrl: API_URL } })
    }
  })
})

describe('--help and --version', () => {
  it.each([['--help'], ['-h'], ['-k', 'x', '--help', '--nonsense']])('shows the flags for %s', (...argv) => {
    const parsed = parseHbbsConfig(inputOf({ argv }))
    expect(parsed.kind === 'print' && parsed.text).toMatch(/^Usage: hbbs .*--config <file>.*-p, --port <number>/s)
  })

  it.each(['--version', '-V'])('shows the version for %s, even where settings are wrong', (flag) => {
    expect(parseHbbrConfig(inputOf({ argv: [flag], env: { BIND: 'x' } }))).toEqual({
      kind: 'print',
      text: 'hbbr 1.2.3\n',
    })
    expect(parseStandaloneConfig(inputOf({ argv: [flag] }))).toEqual({ kind: 'print', text: 'tryst 1.2.3\n' })
  })
})
