// A WebSocket server in a process of its own, so that it can be killed, that notes when each handshake came. `Counted.start()` here,
// the server itself when this file is run.
import { fork } from 'node:child_process'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { acceptFor } from './raw.mjs'

const file = fileURLToPath(import.meta.url)

function serve () {
  const times = []
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    let head = ''
    const hear = data => {
      head += data.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      times.push(Date.now())
      const key = /sec-websocket-key: *(\S+)/i.exec(head)?.[1]
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(key ?? '')}\r\n\r\n`)
      socket.off('data', hear).on('data', () => {})
    }
    socket.on('data', hear).on('end', () => socket.end()).on('error', () => {})
  })
  server.listen({ port: Number(process.argv[3]), host: '127.0.0.1', backlog: 4096 }, () => process.send({ port: server.address().port }))
  // How late this process was heard by the machine, at most: so much closer together may come what was sent at an even rate.
  let lag = 0
  let due = Date.now()
  setInterval(() => { lag = Math.max(lag, Date.now() - due - 5); due = Date.now() }, 5)
  process.on('message', () => process.send({ times, lag }))
  process.on('disconnect', () => process.exit())
}

export class Counted {
  static async start (port = 0) {
    const c = new Counted()
    c.child = fork(file, ['serve', port], { stdio: 'inherit' })
    c.exit = new Promise(resolve => c.child.once('exit', resolve))
    c.port = (await c.#hear()).port
    c.address = `127.0.0.1:${c.port}`
    return c
  }

  #hear () { return new Promise(resolve => this.child.once('message', resolve)) }
  async report () { const heard = this.#hear(); this.child.send('times'); return heard }
  async times () { return (await this.report()).times }
  async kill () { this.child.kill('SIGKILL'); await this.exit }
  async stop () { this.child.disconnect(); await this.exit }
}

// The most that came in any span of so many milliseconds, of those since `from`.
export function mostWithin (times, msec, from = 0) {
  const since = times.filter(t => t >= from)
  let most = 0
  for (let first = 0, last = 0; last < since.length; last++) {
    while (since[last] - since[first] >= msec) first++
    most = Math.max(most, last - first + 1)
  }
  return most
}

if (process.argv[1] === file && process.argv[2] === 'serve') serve()
