/** Makes dist/browser/bundle.js: the browser build in one file, for pages that have no bundler of their own. */
import { build } from 'esbuild'

await build({
  entryPoints: [`${import.meta.dirname}/dist/browser/index.js`],
  outfile: `${import.meta.dirname}/dist/browser/bundle.js`,
  bundle: true,
  // An import of one of Node's modules is an error here: nothing of Node is to get into the browser build.
  platform: 'browser',
  format: 'esm',
  target: 'es2024',
  minify: true,
  logLevel: 'warning',
})
