// A server that streams 64 KiB messages to every client, in a thread of its own: one frame's length each period, from the middle
// of one frame to the middle of the next, so that a tunnel is inside a frame whenever it has nothing to do.
import net from 'node:net'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { fileURLToPath } from 'node:url'
import { switching } from './raw.mjs'

const payload = 65536
export const frameBytes = payload + 10
const frames = 16
export const cycle = Buffer.alloc(frames * frameBytes)
for (let i = 0; i < frames; i++) {
  const at = i * frameBytes
  cycle[at] = 0x82
  cycle[at + 1] = 127
  cycle.writeBigUInt64BE(BigInt(payload), at + 2)
  for (let k = 0; k < payload; k++) cycle[at + 10 + k] = (k * (2 * i + 3) + (k >> 8) + i) & 255
}
const first = frameBytes >> 1
const slices = 20

// Of the main thread: { port, told() }. told(): what clients' Close frames said to the server, and how many tunnels were inside a
// frame when they came.
export class Streams {
  static async start (periodMsec) {
    const s = new Streams()
    s.worker = new Worker(fileURLToPath(import.meta.url), { workerData: { periodMsec } })
    s.port = await new Promise((resolve, reject) => s.worker.once('message', resolve).once('error', reject))
    s.address = `127.0.0.1:${s.port}`
    return s
  }

  told () {
    this.worker.postMessage('tell')
    return new Promise(resolve => this.worker.once('message', resolve))
  }

  stop () { return this.worker.terminate() }
}

// What a client hears: as much of the cycle as comes, and what comes instead.
export class Listener {
  constructor (wire) {
    this.wire = wire
    this.heard = 0
    this.rest = Buffer.alloc(0)
    wire.socket.removeAllListeners('data').on('data', data => this.#hear(data))
    this.#hear(wire.got)
    wire.got = Buffer.alloc(0)
  }

  #hear (data) {
    while (data.length) {
      if (this.rest.length) { this.rest = Buffer.concat([this.rest, data]); return }
      const at = this.heard % cycle.length
      const length = Math.min(data.length, cycle.length - at)
      let same = length
      if (cycle.compare(data, 0, length, at, at + length) !== 0) for (same = 0; data[same] === cycle[at + same];) same++
      this.heard += same
      if (same < length) {
        this.rest = Buffer.from(data.subarray(same))
        this.restAt = Date.now()
        return
      }
      data = data.subarray(length)
    }
  }
}

function serve (periodMsec) {
  const tunnels = Array.from({ length: slices }, () => new Set())
  const told = { codes: {}, inside: 0, ended: 0 }
  let number = 0
  const stream = tunnel => {
    if (tunnel.socket.writableLength > 4 * frameBytes) return
    const at = tunnel.sent % cycle.length
    const piece = at + frameBytes <= cycle.length ? cycle.subarray(at, at + frameBytes) : Buffer.concat([cycle.subarray(at), cycle.subarray(0, at + frameBytes - cycle.length)])
    tunnel.socket.write(piece)
    tunnel.sent += frameBytes
  }
  const hear = (tunnel, data) => {
    tunnel.got = Buffer.concat([tunnel.got, data])
    if (tunnel.got.length < 8 || tunnel.isTold) return
    tunnel.isTold = true
    const { got } = tunnel
    const code = got[0] === 0x88 && got[1] === 0x82 ? ((got[6] ^ got[2]) << 8) | (got[7] ^ got[3]) : got.toString('hex')
    told.codes[code] = (told.codes[code] ?? 0) + 1
    if (tunnel.sent % frameBytes) told.inside++
  }
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    const slice = tunnels[number++ % slices]
    const tunnel = { socket, sent: first, got: Buffer.alloc(0) }
    let head = ''
    socket.setNoDelay(true)
    socket.on('error', () => {}).on('close', () => { slice.delete(tunnel); told.ended++ })
    socket.on('end', () => { slice.delete(tunnel); socket.end() })
    socket.on('data', data => {
      if (head === null) { hear(tunnel, data); return }
      head += data.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      head = null
      socket.write(switching())
      socket.write(cycle.subarray(0, first))
      slice.add(tunnel)
    })
  })
  let turn = 0
  setInterval(() => { for (const tunnel of tunnels[turn++ % slices]) stream(tunnel) }, periodMsec / slices)
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
  parentPort.on('message', () => parentPort.postMessage(told))
}
if (!isMainThread && workerData?.periodMsec) serve(workerData.periodMsec)
