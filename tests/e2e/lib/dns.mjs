// A name server that speaks real DNS (RFC 1035) over UDP and TCP on one port, and says what a test wants said.
import dgram from 'node:dgram'
import net from 'node:net'
import { until } from './turnout.mjs'

const types = { A: 1, AAAA: 28, CNAME: 5 }
const codes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 }
const udpBytes = 512 // RFC 1035 section 4.2.1: what is longer is cut, and asked for over TCP

function bytesOf (address) {
  if (net.isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [left, right] = address.split('::').map(half => half.split(':').filter(Boolean))
  const groups = right ? [...left, ...Array(8 - left.length - right.length).fill('0'), ...right] : left
  return Buffer.concat(groups.map(g => Buffer.from(g.padStart(4, '0'), 'hex')))
}

function record (type, ttl, data) {
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0) // the question's name
  head.writeUInt16BE(types[type], 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(ttl, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

export class Dns {
  // `answers`: { name: { A: [...], AAAA: [...], ttl, code, silent } }, read anew for each question; or a function of (name, type).
  static async start (answers = {}) {
    const d = new Dns()
    d.answers = answers
    d.asked = [] // { name, type, over, at }
    d.sockets = new Set()
    for (;;) {
      d.tcp = net.createServer(socket => d.#serve(socket))
      await new Promise(resolve => d.tcp.listen(0, '127.0.0.1', resolve))
      d.port = d.tcp.address().port
      d.udp = dgram.createSocket('udp4')
      const isFree = await new Promise(resolve => d.udp.on('error', () => resolve(false)).bind(d.port, '127.0.0.1', () => resolve(true)))
      if (isFree) break
      await new Promise(resolve => d.tcp.close(resolve))
    }
    d.udp.on('message', (message, from) => {
      const reply = d.#reply(message, 'udp')
      if (reply) d.udp.send(reply, from.port, from.address)
    })
    d.address = `127.0.0.1:${d.port}`
    return d
  }

  #serve (socket) {
    let got = Buffer.alloc(0)
    this.sockets.add(socket)
    socket.on('close', () => this.sockets.delete(socket)).on('error', () => {})
    socket.on('data', data => {
      got = Buffer.concat([got, data])
      while (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) {
        const end = 2 + got.readUInt16BE(0)
        const reply = this.#reply(got.subarray(2, end), 'tcp')
        got = got.subarray(end)
        if (!reply) continue
        const length = Buffer.alloc(2)
        length.writeUInt16BE(reply.length)
        for (const byte of length) socket.write(Buffer.from([byte])) // pieces, as networks may
        socket.write(reply.subarray(0, 7))
        socket.write(reply.subarray(7))
      }
    })
  }

  #reply (message, over) {
    const labels = []
    let at = 12
    while (message[at]) { labels.push(message.subarray(at + 1, at + 1 + message[at]).toString()); at += 1 + message[at] }
    const name = labels.join('.').toLowerCase()
    const type = Object.keys(types).find(t => types[t] === message.readUInt16BE(at + 1))
    this.asked.push({ name, type, over, at: Date.now() })
    const answer = typeof this.answers === 'function' ? this.answers(name, type) : this.answers[name]
    if (answer?.silent === true || answer?.silent === type) return null
    const addresses = answer?.[type] ?? []
    const records = addresses.map(a => record(type, answer.ttl ?? 1, bytesOf(a)))
    const build = (list, flags) => {
      const head = Buffer.alloc(12)
      message.copy(head, 0, 0, 2)
      head.writeUInt16BE(flags | codes[answer ? answer.code ?? 'NOERROR' : 'NXDOMAIN'], 2)
      head.writeUInt16BE(1, 4)
      head.writeUInt16BE(list.length, 6)
      return Buffer.concat([head, message.subarray(12, at + 5), ...list])
    }
    const whole = build(records, 0x8180)
    return over === 'udp' && whole.length > udpBytes ? build([], 0x8380) : whole
  }

  count (name, type) { return this.asked.filter(q => q.name === name && (!type || q.type === type)).length }
  // Until the name has been asked for and answered so often again.
  async again (name, times = 1) {
    const from = this.count(name, 'A')
    await until(() => this.count(name, 'A') >= from + times, `${name} is asked for again`, 30000)
  }

  async stop () {
    for (const socket of this.sockets) socket.destroy()
    await new Promise(resolve => this.tcp.close(resolve))
    await new Promise(resolve => this.udp.close(resolve))
  }
}
