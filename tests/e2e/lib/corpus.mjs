// Reads tests/corpus (its README says how a row is written), and messages by the plainest rules there are, so that what
// judges turnout is not clever.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../corpus')

export function unescape (text) {
  let plain = text.replaceAll('⏎', '\\r\\n')
  const repeat = /\\\*(\d+)\{([^{}]*)\}/g // the innermost first
  while (repeat.test(plain)) plain = plain.replace(repeat, (_, count, what) => what.repeat(Number(count)))
  const bytes = []
  for (let at = 0; at < plain.length; at++) {
    if (plain[at] !== '\\') { bytes.push(...Buffer.from(plain[at])); continue }
    const escape = plain[++at]
    if (escape === 'x') { bytes.push(parseInt(plain.slice(at + 1, at + 3), 16)); at += 2; continue }
    const byte = { r: 13, n: 10, t: 9, 0: 0, '\\': 92 }[escape]
    if (byte === undefined) throw new Error(`\\${escape} in ${text}`)
    bytes.push(byte)
  }
  return Buffer.from(bytes)
}

// [{ name, statuses, words, sent, sees }]; `sees` is null where the row does not say it.
export function rows (file) {
  const found = []
  let group = ''
  for (const [number, line] of readFileSync(path.join(folder, file), 'utf8').split('\n').entries()) {
    if (line.startsWith('## ')) { group = line.slice(3).split(/[:(]/)[0].trim(); continue }
    if (line.startsWith('=> ')) { found.at(-1).sees = unescape(line.slice(3)); continue }
    if (line === '') continue
    const cut = /^(.+?) \| ([^|]+) \| ?(.*)$/s.exec(line)
    if (!cut) throw new Error(`${file}:${number + 1}: no row: ${line}`)
    const words = cut[2].split(' ')
    found.push({
      name: `${group}: ${cut[1]}`,
      statuses: words.filter(w => /^\d{3}$/.test(w)).map(Number),
      words: new Set(words.filter(w => !/^\d{3}$/.test(w))),
      sent: unescape(cut[3]),
      sees: null
    })
  }
  return found
}

// The message that begins `bytes`: { first, head, body, length }, or null while it is not whole. `method` is that of the request
// when it is an answer; `isOver`: nothing will follow, so an answer without framing is whole.
export function message (bytes, { method, isOver } = {}) {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return null
  const head = bytes.subarray(0, end + 4).toString('latin1')
  const value = name => head.split('\r\n').slice(1).find(l => l.toLowerCase().startsWith(name + ':'))?.slice(name.length + 1).trim()
  const first = head.slice(0, head.indexOf('\r\n'))
  const made = length => ({ first, head, status: Number(first.split(' ')[1]), body: bytes.subarray(end + 4, end + 4 + length).toString('latin1'), length: end + 4 + length })
  const status = method === undefined ? 0 : Number(first.split(' ')[1])
  if (method === 'HEAD' || (method !== undefined && (status < 200 || status === 204 || status === 304))) return made(0)
  if (value('transfer-encoding')) {
    let at = end + 4
    for (;;) {
      const line = bytes.indexOf('\r\n', at)
      if (line < 0) return null
      const size = parseInt(bytes.subarray(at, line).toString('latin1'), 16)
      if (Number.isNaN(size)) return null
      at = line + 2
      if (size) { at += size + 2; continue }
      for (;;) {
        const trailer = bytes.indexOf('\r\n', at)
        if (trailer < 0) return null
        const isLast = trailer === at
        at = trailer + 2
        if (isLast) return made(at - end - 4)
      }
    }
  }
  const length = value('content-length')
  if (length === undefined && method !== undefined) return isOver ? made(bytes.length - end - 4) : null
  return bytes.length >= end + 4 + Number(length ?? 0) ? made(Number(length ?? 0)) : null
}

const addedToRequests = /^(via|forwarded|x-forwarded-[a-z]+|x-request-id|traceparent):/i
const addedToAnswers = /^(via|date|connection|keep-alive|x-request-id):/i

// A head without what turnout adds to it.
const without = (head, added) => head.split('\r\n').filter(line => !added.test(line)).join('\r\n')
export const asSeenByServer = m => without(m.head, addedToRequests) + m.body
export const asSeenByClient = m => without(m.head, addedToAnswers) + m.body

// All messages at the beginning of `bytes`, and how many bytes they are.
export function messages (bytes, options = {}) {
  const found = []
  let used = 0
  for (;;) {
    const next = message(bytes.subarray(used), options)
    if (!next || next.length === 0) return { found, used }
    found.push(next)
    used += next.length
    if (options.method !== undefined && next.status >= 200) return { found, used }
  }
}
