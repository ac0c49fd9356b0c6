// Sockets by hand: what clients and servers really put on the wire, byte for byte.
import { createHash } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'

export const key = 'dGhlIHNhbXBsZSBub25jZQ=='
export const acceptFor = k => createHash('sha1').update(k + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')

export function request (path, { method = 'GET', http = 'HTTP/1.1', host = 'x', connection = ['Upgrade'], upgrade = 'websocket', withKey = true, version = '13', extra = '' } = {}) {
  let head = `${method} ${path} ${http}\r\n` + (host === null ? '' : `Host: ${host}\r\n`)
  for (const c of connection) head += `Connection: ${c}\r\n`
  if (upgrade) head += `Upgrade: ${upgrade}\r\n`
  if (withKey) head += `Sec-WebSocket-Key: ${key}\r\n`
  if (version) head += `Sec-WebSocket-Version: ${version}\r\n`
  return head + extra + '\r\n'
}
export const plain = (path, extra = '', method = 'GET') => `${method} ${path} HTTP/1.1\r\nHost: x\r\n${extra}\r\n`

export function frame (payload, { opcode = 1, masked = true, fin = true } = {}) {
  const body = Buffer.from(payload)
  const mask = Buffer.from([1, 2, 3, 4])
  const head = [(fin ? 0x80 : 0) | opcode]
  const bit = masked ? 0x80 : 0
  if (body.length < 126) head.push(bit | body.length)
  else if (body.length < 65536) head.push(bit | 126, body.length >> 8, body.length & 255)
  else { head.push(bit | 127); const l = Buffer.alloc(8); l.writeBigUInt64BE(BigInt(body.length)); head.push(...l) }
  if (!masked) return Buffer.concat([Buffer.from(head), body])
  return Buffer.concat([Buffer.from(head), mask, body.map((b, i) => b ^ mask[i % 4])])
}
export const closeFrame = (code, masked = true) => frame(Buffer.from([code >> 8, code & 255]), { opcode: 8, masked })

// One end of a connection, with everything that came kept, and promises for what is to come.
export class Wire {
  constructor (socket) {
    this.socket = socket
    this.got = Buffer.alloc(0)
    this.ended = null // 'FIN' or 'RST'
    this.waiting = []
    this.localPort = socket.localPort // the socket forgets it when it closes
    socket.on('data', data => { this.got = Buffer.concat([this.got, data]); this.#tell() })
    socket.on('end', () => { this.ended ??= 'FIN'; this.#tell() })
    socket.on('error', error => { this.ended ??= error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'RST' : error.code; this.#tell() })
    socket.on('close', () => { this.ended ??= 'FIN'; this.#tell() })
    socket.setNoDelay?.(true)
  }

  static async connect (port, options = {}) {
    const socket = net.connect({ port, host: options.host ?? '127.0.0.1', allowHalfOpen: true, localAddress: options.localAddress })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new Wire(socket)
  }

  static async connectTls (port, options = {}) {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, allowHalfOpen: true, ...options })
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    return new Wire(socket)
  }

  #tell () { this.waiting = this.waiting.filter(w => !w()) }

  send (data) { this.socket.write(data); return this }
  end () { this.socket.end(); return this }
  reset () { this.socket.resetAndDestroy(); return this }
  close () { this.socket.destroy() }
  get text () { return this.got.toString('latin1') }

  wait (isTrue, what, withinMsec = 5000) {
    if (isTrue()) return Promise.resolve(this)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not within ${withinMsec} ms: ${what}; got ${JSON.stringify(this.text.slice(0, 300))}, ${this.ended}`)), withinMsec)
      this.waiting.push(() => { if (!isTrue()) return false; clearTimeout(timer); resolve(this); return true })
    })
  }

  until (text, within) { return this.wait(() => this.got.includes(text), `bytes ${JSON.stringify(String(text))}`, within) }
  length (count, within) { return this.wait(() => this.got.length >= count, `${count} bytes`, within) }
  closed (within) { return this.wait(() => this.ended !== null, 'the end', within).then(() => this.ended) }

  // The next message head, taken off: { status, head, fields }.
  async head (within) {
    await this.wait(() => this.got.includes('\r\n\r\n') || this.ended, 'a head', within)
    const end = this.got.indexOf('\r\n\r\n')
    if (end < 0) throw new Error(`no head but ${JSON.stringify(this.text)}, ${this.ended}`)
    const head = this.got.subarray(0, end + 4).toString('latin1')
    this.got = this.got.subarray(end + 4)
    const fields = {}
    for (const line of head.split('\r\n').slice(1)) if (line) fields[line.split(':')[0].toLowerCase()] = line.slice(line.indexOf(':') + 1).trim()
    return { status: Number(head.split(' ')[1]), head, fields }
  }

  async take (count, within) {
    await this.length(count, within)
    const taken = this.got.subarray(0, count)
    this.got = this.got.subarray(count)
    return taken
  }
}

// A scripted server: `serve(wire, head, number)` for each request head that comes on a connection.
export class Backend {
  static async start (serve) {
    const b = new Backend()
    b.requests = []
    b.wires = []
    b.server = net.createServer({ allowHalfOpen: true }, async socket => {
      const wire = new Wire(socket)
      wire.number = b.wires.push(wire)
      try {
        for (;;) {
          await wire.wait(() => wire.got.includes('\r\n\r\n') || wire.ended, 'a request', 60000)
          if (!wire.got.includes('\r\n\r\n')) return
          const request = await wire.head()
          request.connection = wire.number
          request.path = request.head.split(' ')[1]
          b.requests.push(request)
          if (await serve(wire, request, b) === 'tunnel') return
        }
      } catch (error) { b.error = error }
    })
    await new Promise(resolve => b.server.listen(0, '127.0.0.1', resolve))
    b.port = b.server.address().port
    b.address = `127.0.0.1:${b.port}`
    return b
  }

  async stop () {
    for (const wire of this.wires) wire.close()
    await new Promise(resolve => this.server.close(resolve))
  }
}

export const switching = (k = key, extra = '') => `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(k)}\r\n${extra}\r\n`
export const answer = (status, body, extra = '') => `HTTP/1.1 ${status} X\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${extra}\r\n${body}`

// Opens a tunnel through `port`: the client's wire, after the 101.
export async function tunnel (port, path = '/', options = {}) {
  const wire = await (options.tls ? Wire.connectTls(port, options.tls) : Wire.connect(port))
  wire.send(request(path, options))
  const head = await wire.head()
  if (head.status !== 101) throw new Error(`no tunnel: ${head.head}`)
  return wire
}
