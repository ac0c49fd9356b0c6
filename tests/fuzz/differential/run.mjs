#!/usr/bin/env node
// run.mjs [SECONDS] [--seed N]: requests made of tests/corpus by small changes, read by our codec, by Node's llhttp and by Python's h11.
// Every request that we accept must have the same method, target, fields, payload and end in all three, as it came and as the server
// gets it; what differs is listed below with the place where it is argued. Ends in `N passed, N failed`; a seed repeats the same inputs.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Changes, seedRequests } from '../../e2e/lib/changes.mjs'

process.removeAllListeners('warning')
process.on('warning', () => {}) // process.binding is the only way to llhttp as Node builds it
const { HTTPParser, allMethods } = process.binding('http_parser')

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.resolve(here, '../../..')
const seconds = Number(process.argv[2]?.match(/^\d+$/)?.[0] ?? 60)
const seedAt = process.argv.indexOf('--seed')
const seed = seedAt > 0 ? Number(process.argv[seedAt + 1]) : Date.now() % 2 ** 32
const changes = new Changes(seed, seedRequests())
const helper = process.env.BOUNDARIES ?? ['debug', 'dev', 'release'].map(b => path.join(root, 'build', b, 'tests/boundaries')).find(existsSync)

// --- what differs, and why it may: docs/decisions/0008-where-other-parsers-differ.md -------------------------------------------------

const known = [
  { number: 1, parser: 'llhttp', is: ({ ours, error }) => /^HPE_INVALID_METHOD/.test(error) && !allMethods.includes(ours.method) },
  { number: 2, parser: 'h11', is: ({ bytes, error }) => /no request line/.test(error) && bytes.subarray(0, 2).equals(Buffer.from('\r\n')) },
  { number: 3, parser: 'llhttp', is: ({ bytes, error }) => /^HPE_INVALID_(TRANSFER_ENCODING|CONTENT_LENGTH)/.test(error) && /^(transfer-encoding|content-length):[^\r]*\t[ \t]*\r/im.test(bytes.toString('latin1')) },
  { number: 4, parser: 'ours', is: ({ ours, error }) => error === 'HOST_WRONG' && ours.fields.some(([n, v]) => n === 'Host' && v === '') }
]
const isKnown = (parser, difference) => known.find(k => k.parser === parser && k.is(difference))
const counts = new Map()

// --- parsers -----------------------------------------------------------------------------------------------------------------------

// A program that answers each framed input with a line of JSON.
class Judge {
  constructor (...command) {
    this.child = spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
    this.waiting = []
    let rest = ''
    this.child.stdout.on('data', data => {
      const found = (rest + data).split('\n')
      rest = found.pop()
      for (const line of found) this.waiting.shift()(JSON.parse(line))
    })
    this.child.on('close', code => { if (this.waiting.length) throw new Error(`${command[0]} ended with ${code}`) })
  }

  ask (inputs) {
    const framed = []
    for (const input of inputs) {
      const size = Buffer.alloc(4)
      size.writeUInt32LE(input.length)
      framed.push(size, input)
    }
    this.child.stdin.write(Buffer.concat(framed))
    return Promise.all(inputs.map(() => new Promise(resolve => this.waiting.push(resolve))))
  }

  stop () { this.child.stdin.end() }
}

// Every message that llhttp finds: { messages, error }.
function readByLlhttp (bytes) {
  const parser = new HTTPParser()
  const found = []
  let current
  parser.initialize(HTTPParser.REQUEST, {}, 1 << 20)
  const take = pairs => { for (let i = 0; i < pairs.length; i += 2) current.fields.push([pairs[i], pairs[i + 1]]) }
  parser[HTTPParser.kOnMessageBegin] = () => { current = { fields: [], body: '', isWhole: false, hasHead: false } }
  parser[HTTPParser.kOnHeaders] = (pairs, url) => { // more than 32 fields come in several calls; behind the head: trailers
    if (current.hasHead) return
    take(pairs)
    current.target = (current.target ?? '') + url
  }
  parser[HTTPParser.kOnHeadersComplete] = (major, minor, pairs, method, url, status, words, upgrade, keeps) => {
    if (pairs) take(pairs)
    found.push(Object.assign(current, { minor, method: allMethods[method], target: current.target ?? url, isUpgrade: upgrade, keeps, hasHead: true }))
    return 0
  }
  parser[HTTPParser.kOnBody] = part => { current.body += part.toString('latin1') }
  parser[HTTPParser.kOnMessageComplete] = () => { current.isWhole = true }
  const result = parser.execute(bytes)
  parser.free()
  return { messages: found, error: result instanceof Error ? `${result.code} ${result.reason}` : null }
}

const text = hex => Buffer.from(hex, 'hex').toString('latin1')
const decode = r => ({ ...r, method: text(r.method), target: text(r.target), body: text(r.body), fields: r.fields.map(([n, v]) => [text(n), text(v)]) })

// --- comparing ---------------------------------------------------------------------------------------------------------------------

const sentinel = Buffer.from('GET /sentinel HTTP/1.1\r\nHost: sentinel\r\n\r\n')
// names, and the one coding there is, are alike in any case
const asOne = r => JSON.stringify([r.method, r.target, r.minor, r.fields.map(([n, v]) => [n.toLowerCase(), n.toLowerCase() === 'transfer-encoding' ? v.toLowerCase() : v]), r.body])
let compared = 0
let failed = 0
const said = new Set()

function differ (parser, ours, bytes, theirs, how) {
  const argued = isKnown(parser, { ours, bytes, error: theirs.error ?? '' })
  if (argued) { counts.set(argued.number, (counts.get(argued.number) ?? 0) + 1); return }
  failed++
  const kind = `${parser} ${how} ${theirs.error ?? ''}`
  if (said.has(kind) || said.size > 20) return // once is enough to see it
  said.add(kind)
  console.log(`DIFFERS: ${parser}: ${how}: ${theirs.error ?? ''}\n  bytes: ${JSON.stringify(bytes.toString('latin1'))}\n  ours:   ${asOne(ours)}\n  theirs: ${theirs.method === undefined ? '' : asOne(theirs)}`)
}

function compareWithLlhttp (ours, bytes) {
  const { messages, error } = readByLlhttp(bytes)
  const theirs = messages[0]
  if (error && !(theirs?.isWhole)) return differ('llhttp', ours, bytes, { error }, 'refuses')
  if (!theirs) return differ('llhttp', ours, bytes, { error }, 'sees no request')
  if (asOne(theirs) !== asOne(ours)) return differ('llhttp', ours, bytes, { ...theirs, error }, 'sees another request')
  if (!theirs.isWhole) return differ('llhttp', ours, bytes, theirs, 'waits for more')
  if (messages.length > 1 || error) return differ('llhttp', ours, bytes, { ...theirs, error }, 'sees its end earlier')
  if (readByLlhttp(bytes.subarray(0, -1)).messages[0]?.isWhole) return differ('llhttp', ours, bytes, theirs, 'sees its end a byte earlier')
  if (theirs.isUpgrade || !theirs.keeps) return // nothing may follow
  const behind = readByLlhttp(Buffer.concat([bytes, sentinel])).messages
  if (behind.length !== 2 || behind[1].target !== '/sentinel') differ('llhttp', ours, bytes, theirs, 'sees another next request')
}

function compareWithH11 (ours, bytes, theirs) {
  if (theirs.error) return differ('h11', ours, bytes, theirs, 'refuses')
  if (theirs.left !== sentinel.length) return differ('h11', ours, bytes, decode(theirs), 'sees another end')
  if (asOne(decode(theirs)) !== asOne(ours)) differ('h11', ours, bytes, decode(theirs), 'sees another request')
}

// What the server gets, read by splitting it at its line ends: what we accepted, with the fields that are left.
function asPassedOn (request, behindHead) {
  const written = text(request.written)
  const fields = written.split('\r\n').slice(1, -2).map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)])
  const bytes = Buffer.concat([Buffer.from(written, 'latin1'), request.handshake ? Buffer.alloc(0) : behindHead])
  return { ours: { ...decode(request), minor: 1, fields }, bytes }
}

function compareWithOurs (ours, bytes, again) {
  const [first] = again.requests.map(decode)
  if (!first || again.requests.length > 1 || again.used !== bytes.length) return differ('ours', ours, bytes, { error: again.why }, 'would not be accepted again')
  if (asOne(first) !== asOne(ours)) differ('ours', ours, bytes, first, 'the server gets another request')
}

const ourselves = new Judge(helper)
const h11 = new Judge('/usr/bin/python3', path.join(here, 'h11_judge.py'))
const stopAt = Date.now() + seconds * 1000
let inputs = 0
let refused = 0

async function compareAll (accepted) {
  const theirs = await h11.ask(accepted.map(({ bytes }) => Buffer.concat([bytes, sentinel])))
  for (const [i, { ours, bytes }] of accepted.entries()) {
    compared++
    compareWithLlhttp(ours, bytes)
    compareWithH11(ours, bytes, theirs[i])
  }
}

async function round (batch) {
  const accepted = []
  const passedOn = []
  for (const [i, line] of (await ourselves.ask(batch)).entries()) {
    inputs++
    refused += line.why !== ''
    for (const request of line.requests.filter(r => r.end > 0)) {
      accepted.push({ ours: decode(request), bytes: batch[i].subarray(request.begin, request.end) })
      passedOn.push(asPassedOn(request, batch[i].subarray(request.begin + request.head, request.end)))
    }
    if (line.used > 0 && line.why === '') changes.keep(batch[i]) // what we accept brings forth more of it
  }
  await compareAll(accepted)
  await compareAll(passedOn)
  const again = await ourselves.ask(passedOn.map(({ bytes }) => bytes))
  for (const [i, { ours, bytes }] of passedOn.entries()) compareWithOurs(ours, bytes, again[i])
}

console.log(`seed ${seed}`)
await round(changes.seeds)
while (Date.now() < stopAt) await round(Array.from({ length: 200 }, () => changes.next()))
ourselves.stop()
h11.stop()
for (const [number, count] of [...counts].sort((a, b) => a[0] - b[0])) console.log(`known difference ${number}: ${count} times`)
console.log(`${inputs} inputs, ${refused} refused, ${compared} requests compared with llhttp ${process.versions.llhttp} and h11`)
console.log(`${compared - failed} passed, ${failed} failed`)
process.exit(failed || !compared ? 1 : 0)
