// Messages made of the corpus by small changes, the same ones for the same seed.
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { rows } from './corpus.mjs'

const fuzzCorpus = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../fuzz/corpus')
const largest = 2048 // of a seed; limits have their own tests
const words = ['\r\n', '\n', '\r', '\r\n\r\n', ' ', '\t', '\0', '\x0b', '\x0c', '\x7f', '\x80', '\xa0', '\xff', ':', ': ', ',', ';', '"', '\\', '/', '?', '#', '%', '*', '@', '[', ']', '0', '1', '5', 'a', 'f',
  'GET / HTTP/1.1\r\n', 'HTTP/1.1 200 OK\r\n', 'Host: x\r\n', 'Host: y\r\n', 'Content-Length: 5\r\n', 'Content-Length: 0\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n',
  'Connection: keep-alive\r\n', 'Connection: Upgrade\r\n', 'Upgrade: websocket\r\n', 'Expect: 100-continue\r\n', 'TE: trailers\r\n', 'X: y\r\n', ' folded\r\n', '0\r\n\r\n', '5\r\nhello\r\n',
  '5;a=b\r\nhello\r\n', '0\r\nA: b\r\n\r\n', ';a', ';a="b"', ';', 'chunked', 'identity', 'HTTP/1.0', 'HTTP/1.1', 'http://x/', '//', '_', '-', '+', '0x', 'hello', 'POST', 'OPTIONS', 'PUT',
  'CONNECT', '204', '304', '100'].map(w => Buffer.from(w, 'latin1'))

export function seedRequests () {
  const seeds = rows('requests.txt').map(row => row.sent)
  for (const [folder, before] of [['http1', ''], ['http1_body', 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n']]) {
    for (const name of readdirSync(path.join(fuzzCorpus, folder)).sort()) seeds.push(Buffer.concat([Buffer.from(before), readFileSync(path.join(fuzzCorpus, folder, name))]))
  }
  return seeds.filter(sent => sent.length < largest)
}
export const seedAnswers = () => rows('responses.txt').map(row => row.sent).filter(sent => sent.length && sent.length < largest)

const insert = (b, at, what) => Buffer.concat([b.subarray(0, at), what, b.subarray(at)])
const lines = b => b.toString('latin1').split(/(?<=\r\n)/)
const joined = l => Buffer.from(l.join(''), 'latin1')

export class Changes {
  constructor (seed, seeds) {
    this.state = seed >>> 0
    this.seeds = seeds
    this.kept = []
  }

  random (below) { // mulberry32
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % below
  }

  pick (list) { return list[this.random(list.length)] }
  keep (input) { this.kept[this.kept.length < 1000 ? this.kept.length : this.random(1000)] = input }

  at (b, where, what) {
    const text = b.toString('latin1')
    const found = [...text.matchAll(where)]
    if (!found.length) return b
    const { index, 0: { length } } = this.pick(found)
    return Buffer.from(text.slice(0, index) + what + text.slice(index + length), 'latin1')
  }

  change (b) {
    const at = this.random(b.length)
    const kind = this.random(15)
    const l = kind > 4 && kind < 10 ? lines(b) : []
    switch (kind) {
      case 0: return insert(b, at, this.pick(words))
      case 1: return Buffer.concat([b.subarray(0, at), this.pick(words), b.subarray(at + 1)])
      case 2: return Buffer.concat([b.subarray(0, at), b.subarray(at + 1 + this.random(4))])
      case 3: { const c = Buffer.from(b); c[at] = this.random(256); return c }
      case 4: { const c = Buffer.from(b); c[at] ^= 1 << this.random(8); return c }
      case 5: l.splice(this.random(l.length), 0, this.pick(l)); return joined(l)
      case 6: l.splice(this.random(l.length), 1); return joined(l)
      case 7: l.splice(this.random(l.length), 0, this.pick(lines(this.pick(this.seeds)))); return joined(l)
      case 8: { const i = this.random(l.length); const j = this.random(l.length); [l[i], l[j]] = [l[j], l[i]]; return joined(l) }
      case 9: l.splice(1 + this.random(l.length), 0, this.pick(words).toString('latin1').trimEnd() + '\r\n'); return joined(l)
      case 10: case 11: return this.at(b, /[\r\n]/g, this.pick(['', '\r', '\n', '0', ' ', 'x'])) // where lines and chunks end
      case 12: return this.at(b, /\r\n/g, this.pick(['\n', '\r', '\r\r\n', ' \r\n', '\r\n ', '\r\n\r\n', '']))
      case 13: return this.at(b, /[:;=,"]/g, this.pick([' :', ': ', ';', '; ', '=', '"', '\t', ',', '']))
      default: return Buffer.concat([b, this.pick(this.kept.length ? this.kept : this.seeds)])
    }
  }

  next () {
    let input = this.pick(this.kept.length && this.random(2) ? this.kept : this.seeds)
    for (let i = 1 + this.random(4); i > 0; i--) input = input.length ? this.change(input) : this.pick(this.seeds)
    return input.length > 2 * largest ? input.subarray(0, 2 * largest) : input
  }
}
