import { createHash } from 'node:crypto'
import fengari, { type LuaState } from 'fengari'
import type { Reply } from './keyspace.ts'

const { lua, lauxlib, lualib } = fengari

type Call = (name: string, args: readonly string[]) => Reply

/**
 * Runs the very scripts that nodes send to Redis, in a Lua made of JavaScript. Its integers have 32 bits, so what may be
 * larger must come as a number with a fraction: see `time` of SimulatedRedis.
 */
export class LuaScripts {
  readonly #state: LuaState = lauxlib.luaL_newstate()
  /** Where the compiled scripts are kept, by their hash. */
  readonly #compiled = new Map<string, number>()
  readonly #call: Call

  /** @param call what `redis.call` does */
  constructor(call: Call) {
    this.#call = call
    const state = this.#state
    lualib.luaL_openlibs(state)
    this.#define('redis', {
      call: () => this.#redisCall(),
      error_reply: () => {
        const text = this.#textAt(1)
        lua.lua_settop(state, 0)
        this.#push({ err: text })
      },
    })
    this.#define('cjson', {
      decode: () => {
        const value: unknown = JSON.parse(this.#textAt(1))
        lua.lua_settop(state, 0)
        this.#pushJson(value)
      },
    })
  }

  has(sha1: string): boolean {
    return this.#compiled.has(sha1)
  }

  /** @returns the hash under which it can be run from now on */
  load(source: string): string {
    const sha1 = createHash('sha1').update(source).digest('hex')
    if (this.#compiled.has(sha1)) return sha1
    const code = toBytes(source)
    if (lauxlib.luaL_loadbuffer(this.#state, code, code.length, toBytes('script')) !== 0)
      throw new Error(this.#textAt(-1))
    this.#compiled.set(sha1, lauxlib.luaL_ref(this.#state, lua.LUA_REGISTRYINDEX))
    return sha1
  }

  run(sha1: string, keys: readonly string[], args: readonly string[]): Reply {
    const state = this.#state
    this.#push(keys)
    lua.lua_setglobal(state, KEYS)
    this.#push(args)
    lua.lua_setglobal(state, ARGV)
    lua.lua_rawgeti(state, lua.LUA_REGISTRYINDEX, this.#compiled.get(sha1) ?? 0)
    const failed = lua.lua_pcall(state, 0, 1, 0) !== 0
    const reply: Reply = failed ? { err: `ERR ${this.#textAt(-1)}` } : this.#read(-1)
    lua.lua_settop(state, 0)
    return reply
  }

  #define(name: string, functions: Readonly<Record<string, () => void>>): void {
    const state = this.#state
    lua.lua_createtable(state, 0, 2)
    for (const [field, body] of Object.entries(functions)) {
      lua.lua_pushcfunction(state, () => {
        body()
        return 1
      })
      lua.lua_setfield(state, -2, toBytes(field))
    }
    lua.lua_setglobal(state, toBytes(name))
  }

  #redisCall(): void {
    const state = this.#state
    const name = this.#textAt(1)
    const args: string[] = []
    for (let at = 2, top = lua.lua_gettop(state); at <= top; at++) args.push(this.#textAt(at))
    lua.lua_settop(state, 0)
    const reply = this.#call(name, args)
    this.#push(reply)
    if (typeof reply === 'object' && reply !== null && 'err' in reply) lua.lua_error(state)
  }

  #textAt(index: number): string {
    return toText(lua.lua_tostring(this.#state, index))
  }

  #push(reply: Reply): void {
    const state = this.#state
    if (typeof reply === 'string') lua.lua_pushstring(state, toBytes(reply))
    else if (typeof reply === 'number') lua.lua_pushnumber(state, reply)
    else if (reply === null) lua.lua_pushboolean(state, false)
    else if (isList(reply)) {
      lua.lua_createtable(state, reply.length, 0)
      for (const [index, item] of reply.entries()) {
        this.#push(item)
        lua.lua_rawseti(state, -2, index + 1)
      }
    } else this.#pushJson(reply)
  }

  #pushJson(value: unknown): void {
    const state = this.#state
    if (typeof value === 'boolean') lua.lua_pushboolean(state, value)
    else if (typeof value !== 'object' || value === null) this.#push(value as string | number | null)
    else {
      const entries = Object.entries(value)
      lua.lua_createtable(state, 0, entries.length)
      for (const [field, item] of entries) {
        this.#pushJson(item)
        lua.lua_setfield(state, -2, toBytes(field))
      }
    }
  }

  /** As Redis turns Lua's values into replies. */
  #read(index: number): Reply {
    const state = this.#state
    switch (lua.lua_type(state, index)) {
      case lua.LUA_TSTRING:
        return this.#textAt(index)
      case lua.LUA_TNUMBER:
        return Math.trunc(lua.lua_tonumber(state, index))
      case lua.LUA_TBOOLEAN:
        return lua.lua_toboolean(state, index) ? 1 : null
      case lua.LUA_TTABLE:
        return this.#readTable()
      default:
        return null
    }
  }

  #readTable(): Reply {
    const state = this.#state
    const isError = lua.lua_getfield(state, -1, ERR) === lua.LUA_TSTRING
    const error = isError ? this.#textAt(-1) : ''
    lua.lua_pop(state, 1)
    if (isError) return { err: error }
    const items: Reply[] = []
    for (let item = 1; ; item++) {
      const type = lua.lua_rawgeti(state, -1, item)
      if (type === lua.LUA_TNIL) break
      items.push(this.#read(-1))
      lua.lua_pop(state, 1)
    }
    lua.lua_pop(state, 1)
    return items
  }
}

const KEYS = toBytes('KEYS')
const ARGV = toBytes('ARGV')
const ERR = toBytes('err')
/** Up to here a text is made faster without a Buffer. */
const SHORT = 48

function isList(reply: Reply): reply is readonly Reply[] {
  return Array.isArray(reply)
}

function toBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

function toText(bytes: Uint8Array | null): string {
  if (bytes && bytes.length < SHORT) return String.fromCharCode(...bytes)
  return bytes === null ? '' : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
