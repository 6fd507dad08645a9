/** The part of fengari (Lua 5.3 in JavaScript) that is used here. */
declare module 'fengari' {
  export interface LuaState {
    readonly brand: unique symbol
  }
  type LuaFunction = (state: LuaState) => number

  interface Lua {
    readonly LUA_REGISTRYINDEX: number
    readonly LUA_TNIL: number
    readonly LUA_TBOOLEAN: number
    readonly LUA_TNUMBER: number
    readonly LUA_TSTRING: number
    readonly LUA_TTABLE: number
    lua_createtable(state: LuaState, items: number, fields: number): void
    lua_error(state: LuaState): never
    lua_getfield(state: LuaState, index: number, name: Uint8Array): number
    lua_gettop(state: LuaState): number
    lua_pcall(state: LuaState, inputs: number, outputs: number, handler: number): number
    lua_pop(state: LuaState, count: number): void
    lua_pushboolean(state: LuaState, value: boolean): void
    lua_pushcfunction(state: LuaState, callee: LuaFunction): void
    lua_pushnumber(state: LuaState, value: number): void
    lua_pushstring(state: LuaState, text: Uint8Array): void
    lua_rawgeti(state: LuaState, index: number, item: number): number
    lua_rawseti(state: LuaState, index: number, item: number): void
    lua_setfield(state: LuaState, index: number, name: Uint8Array): void
    lua_setglobal(state: LuaState, name: Uint8Array): void
    lua_settop(state: LuaState, top: number): void
    lua_toboolean(state: LuaState, index: number): boolean
    lua_tonumber(state: LuaState, index: number): number
    lua_tostring(state: LuaState, index: number): Uint8Array | null
    lua_type(state: LuaState, index: number): number
  }

  const fengari: {
    readonly lua: Lua
    readonly lauxlib: {
      luaL_loadbuffer(state: LuaState, code: Uint8Array, size: number, name: Uint8Array): number
      luaL_newstate(): LuaState
      luaL_ref(state: LuaState, table: number): number
    }
    readonly lualib: { luaL_openlibs(state: LuaState): void }
    to_luastring(text: string): Uint8Array
  }
  export default fengari
}
