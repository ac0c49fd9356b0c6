// The PROXY protocol by hand, and HAProxy as a neighbour.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { Wire } from './raw.mjs'
import { until } from './turnout.mjs'

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

export const v1 = (source, port, destination, destinationPort) =>
  `PROXY TCP${net.isIPv6(source) ? 6 : 4} ${source} ${destination} ${port} ${destinationPort}\r\n`

// Of IPv6, whole groups and one "::" only: enough for tests.
function bytesOf (address) {
  if (net.isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [left, right] = address.split('::').map(half => half.split(':').filter(Boolean))
  const groups = right ? [...left, ...Array(8 - left.length - right.length).fill('0'), ...right] : left
  return Buffer.concat(groups.map(g => Buffer.from(g.padStart(4, '0'), 'hex')))
}
const textOf = at => at.length === 4
  ? [...at].join('.')
  : new URL(`http://[${at.toString('hex').match(/.{4}/g).join(':')}]`).hostname.slice(1, -1)

export const number16 = n => Buffer.from([n >> 8, n & 255])
export const tlv = (type, value) => Buffer.concat([Buffer.from([type]), number16(Buffer.byteLength(value)), Buffer.from(value)])

export function v2 ({ command = 1, family, source, port = 0, destination, destinationPort = 0, tlvs = [] } = {}) {
  const addresses = source ? Buffer.concat([bytesOf(source), bytesOf(destination), number16(port), number16(destinationPort)]) : Buffer.alloc(0)
  const block = Buffer.concat([addresses, ...tlvs])
  family ??= !source ? 0 : net.isIPv4(source) ? 0x11 : 0x21
  return Buffer.concat([signature, Buffer.from([0x20 | command, family]), number16(block.length), block])
}

export function crc32c (bytes) {
  let crc = 0xffffffff
  for (const b of bytes) {
    crc ^= b
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}

// What stands at the front of `bytes`: { used, version, source, port, destination, destinationPort, tlvs }; null: not whole.
export function parse (bytes) {
  if (!bytes.subarray(0, 12).equals(signature)) {
    const end = bytes.indexOf('\r\n')
    if (end < 0) return null
    const words = bytes.subarray(0, end).toString().split(' ')
    if (words[0] !== 'PROXY') throw new Error(`no PROXY header: ${words}`)
    return { used: end + 2, version: 1, protocol: words[1], source: words[2], destination: words[3], port: Number(words[4]), destinationPort: Number(words[5]) }
  }
  if (bytes.length < 16) return null
  const used = 16 + bytes.readUInt16BE(14)
  if (bytes.length < used) return null
  const header = { used, version: 2, command: bytes[12], family: bytes[13], tlvs: {} }
  const size = { 0x00: 0, 0x11: 4, 0x21: 16 }[header.family]
  let at = 16
  if (size) {
    header.source = textOf(bytes.subarray(at, at + size))
    header.destination = textOf(bytes.subarray(at + size, at + 2 * size))
    header.port = bytes.readUInt16BE(at + 2 * size)
    header.destinationPort = bytes.readUInt16BE(at + 2 * size + 2)
    at += 2 * size + 4
  }
  while (at < used) {
    const len = bytes.readUInt16BE(at + 1)
    header.tlvs[bytes[at]] = bytes.subarray(at + 3, at + 3 + len)
    if (bytes[at] === 3) {
      const copy = Buffer.from(bytes.subarray(0, used))
      copy.fill(0, at + 3, at + 7)
      header.checksumIsRight = crc32c(copy) === bytes.readUInt32BE(at + 3)
    }
    at += 3 + len
  }
  return header
}

export async function connectUnix (file) {
  const socket = net.connect({ path: file, allowHalfOpen: true })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return new Wire(socket)
}

// A server that is told who its client is: `serve(wire, header)` after each header.
export class Told {
  static async start (serve, { host = '127.0.0.1' } = {}) {
    const t = new Told()
    t.headers = []
    t.wires = []
    t.server = net.createServer({ allowHalfOpen: true }, async socket => {
      const wire = new Wire(socket)
      t.wires.push(wire)
      try {
        await wire.wait(() => parse(wire.got) || wire.ended, 'a PROXY header', 60000)
        const header = parse(wire.got)
        if (!header) return
        wire.got = wire.got.subarray(header.used)
        t.headers.push(header)
        await serve(wire, header)
      } catch (error) { t.error = error }
    })
    await new Promise(resolve => t.server.listen(0, host, resolve))
    t.port = t.server.address().port
    t.address = host.includes(':') ? `[${host}]:${t.port}` : `${host}:${t.port}`
    return t
  }

  header (count = 1) { return until(() => this.headers[count - 1], `${count} PROXY headers`) }

  async stop () {
    for (const wire of this.wires) wire.close()
    await new Promise(resolve => this.server.close(resolve))
  }
}

export const hasHaproxy = spawnSync('haproxy', ['-v']).status === 0

// Listens where `sections` says; `port` is one of those places, to see that it serves.
export class Haproxy {
  static async start (sections, isUp) {
    const h = new Haproxy()
    h.dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-haproxy-'))
    const file = path.join(h.dir, 'haproxy.cfg')
    writeFileSync(file, `defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n${sections}\n`)
    h.child = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    h.errors = ''
    h.child.stderr.on('data', data => { h.errors += data })
    h.exit = new Promise(resolve => h.child.on('close', resolve))
    await Promise.race([until(isUp, 'haproxy serves'), h.exit.then(code => { throw new Error(`haproxy ended with ${code}: ${h.errors}`) })])
    return h
  }

  async stop () {
    this.child.kill('SIGKILL')
    await this.exit
    rmSync(this.dir, { recursive: true })
  }
}
