/** Style of the status page; colours have a contrast of at least 7:1 in both schemes. */
export const STATUS_STYLE = `:root { color-scheme: light dark; --ground: #fff; --text: #1b1f24; --soft: #f0f2f5; --line: #c4cad2; --link: #0b4a9e; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171a; --text: #e8eaed; --soft: #22272d; --line: #454c55; --link: #a3c9ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 46rem; padding: 1rem 1.25rem 3rem; background: var(--ground); color: var(--text); font: 1rem/1.6 system-ui, sans-serif; }
h1 { margin-bottom: 0; overflow-wrap: anywhere; line-height: 1.2; }
h2 { margin-top: 2.5rem; }
header p { margin-top: .25rem; }
dl { margin: 0; }
dl div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .3rem 0; }
dt { min-width: 7rem; font-weight: 600; }
dd { margin: 0; min-width: 0; }
code { padding: .15em .35em; border-radius: .25rem; background: var(--soft); font: .95em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; user-select: all; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
.qr { width: 16rem; max-width: 100%; height: auto; border-radius: .25rem; }
footer { margin-top: 3rem; }
`
