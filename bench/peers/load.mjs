// Asks for a list of URLs again and again over keep-alive connections, as fast as they are answered.
//
//     NODE_PATH=…/node_modules node load.mjs CONNECTIONS SECONDS ORIGIN PATH…
//
// Prints how many answers came per second; fails unless all were 200.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url) // unlike import, it heeds NODE_PATH
const [connections, duration, url, ...paths] = process.argv.slice(2)
const result = await require('autocannon')({
  url,
  connections: Number(connections),
  duration: Number(duration),
  requests: paths.map((path) => ({ method: 'GET', path })),
})
if (result.non2xx || result.errors) throw new Error(`${result.non2xx} answers were no 200, ${result.errors} never came`)
console.log(result['2xx'] / result.duration)
