// What a page does with the browser build; the tests take it from here.
import * as client from './client.js'

globalThis.trystClient = client
