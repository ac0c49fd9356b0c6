// Everything at once, at random: clients and servers that end at any moment in any way, plain and over TLS, while configurations
// change. What must hold: the process lives and says nothing to the sanitizers, who behaved got every byte in order, and when all
// are gone nothing is left. The seed is printed; TURNOUT_SEED=N repeats it as far as timing allows.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { Backend, Wire, acceptFor, answer, frame, plain, request } from './lib/raw.mjs'
import { Turnout, freePort, until } from './lib/turnout.mjs'

const seed = Number(process.env.TURNOUT_SEED ?? Date.now() % 1e9)
let state = seed
const random = below => { // mulberry32: small, and the same everywhere
  state = (state + 0x6D2B79F5) | 0
  let x = Math.imul(state ^ (state >>> 15), 1 | state)
  x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
  return ((x ^ (x >>> 14)) >>> 0) % below
}
const soon = () => new Promise(resolve => random(3) ? setImmediate(resolve) : setTimeout(resolve, random(8)))
const clients = Number(process.env.TURNOUT_LONG ? 6000 : 900)

// One server for all moods; the path says which. A tunnel of /sum answers with the digest of what it got.
const moods = ['/sum', '/sum', '/sum', '/echo', '/echo', '/refuse', '/leave', '/reset', '/silent', '/garbage', '/half', '/talk', '/slowhead', '/plain', '/chunked']
async function serve (wire, { path, fields }) {
  const key = fields['sec-websocket-key']
  const switching = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(key ?? '')}\r\n\r\n`
  const body = Number(fields['content-length'] ?? 0)
  if (body) await wire.take(body, 20000)
  if (path === '/leave') { wire.close(); return 'tunnel' }
  if (path === '/reset') { if (key) wire.socket.write(switching + 'last words'); wire.reset(); return 'tunnel' }
  if (path === '/silent') { await wire.closed(30000); return 'tunnel' }
  if (path === '/garbage') { wire.send('\x00\x01\x02 garbage\r\n\r\n').end(); return 'tunnel' }
  if (path === '/refuse' || path === '/plain' || (!key && path !== '/chunked')) { wire.send(answer(path === '/refuse' ? 403 : 200, 'x'.repeat(random(3000)))); return }
  if (path === '/chunked') { wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'); await soon(); wire.send('0\r\n\r\n'); return }
  if (path === '/slowhead') for (const part of switching.match(/[^]{1,40}/g)) { wire.send(part); await soon() }
  else wire.send(switching)
  if (path === '/half') { wire.send('half').end(); return 'tunnel' }
  if (path === '/talk') { const timer = setInterval(() => wire.socket.writable && wire.send(frame('tick', { masked: false })), 3); wire.socket.on('end', () => wire.end()).on('close', () => clearInterval(timer)); return 'tunnel' }
  if (path === '/echo') { wire.send(wire.got); wire.socket.on('data', data => wire.send(data)); wire.socket.on('end', () => wire.end()); return 'tunnel' }
  const sum = createHash('sha1').update(wire.got)
  wire.got = Buffer.alloc(0)
  wire.socket.removeAllListeners('data')
  wire.socket.on('data', data => { sum.update(data); if (random(20) === 0) { wire.socket.pause(); setTimeout(() => wire.socket.resume(), 5) } })
  wire.socket.on('end', () => wire.send(sum.digest('hex')).end())
  return 'tunnel'
}

test(`${clients} clients of every kind, seed ${seed}`, { timeout: 300000 }, async () => {
  const backend = await Backend.start(serve)
  const secure = await freePort()
  const configuration = n => t => {
    if (n === 0) execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${t.dir}/k.key`, '-out', `${t.dir}/k.crt`, '-subj', '/CN=x'], { stdio: 'ignore' })
    return `workers: 2
listeners:
  - listen: 127.0.0.1:${t.port}
  - { listen: 127.0.0.1:${secure}, tls: { mode: terminate, certificates: [ { cert: k.crt, key: k.key } ] } }
timeouts: { request_head: 2s, handshake: 700ms, response: 700ms, fin: 2s, tunnel_idle: 4s, queue: 1s, body: 2s, keepalive: 500ms }
limits: { unsent: ${n % 2 ? '64k' : '256k'} }
pools:
  main: { keepalive: { idle: 1s }, balance: ${n % 3 ? 'least_connections' : 'round_robin'}, on_removed: ${n % 4 ? 'keep' : 'close'}, servers: [ { address: ${backend.address}, max_connections: 60 } ] }
routes:
  - { match: { path: /none }, pool: main }
  - { pool: main }
`
  }
  const t = await Turnout.start(configuration(0))
  // Resting pipes of the splice tier are the worker's own, and bounded.
  const isPipe = fd => { try { return readlinkSync(`/proc/${t.pid}/fd/${fd}`).startsWith('pipe:') } catch { return false } }
  const descriptors = () => readdirSync(`/proc/${t.pid}/fd`).filter(fd => fd > 2 && !isPipe(fd)).length
  let honest = 0
  const one = async () => {
    const path = moods[random(moods.length)]
    const isTls = random(4) === 0
    let wire
    try { wire = await (isTls ? Wire.connectTls(secure) : Wire.connect(t.port)) } catch { return }
    const isWebSocket = random(5) > 0
    const head = isWebSocket ? request(path) : plain(path, random(2) ? 'Connection: close\r\n' : '')
    const manner = random(8)
    if (manner === 0) { // it vanishes in its own head
      wire.send(head.slice(0, random(head.length)))
      await soon()
      random(2) && !isTls ? wire.reset() : wire.close()
      return
    }
    const early = isWebSocket && random(3) === 0 ? frame('early') : Buffer.alloc(0)
    if (random(3)) wire.send(Buffer.concat([Buffer.from(head), early]))
    else { for (const part of head.match(/[^]{1,60}/g)) { wire.send(part); await soon() }; wire.send(early) }
    if (manner === 1) { await soon(); random(2) && !isTls ? wire.reset() : wire.close(); return }
    let answered
    try { answered = await wire.head(20000) } catch { wire.close(); return }
    if (answered.status !== 101) { if (manner === 2) wire.end(); else { await soon(); wire.close() }; return }
    const sum = createHash('sha1').update(early)
    let sent = Buffer.from(early)
    for (let i = random(12); i > 0; i--) {
      const data = frame(Buffer.alloc(random(10) ? random(2000) : random(200000), i))
      sum.update(data)
      if (path === '/echo') sent = Buffer.concat([sent, data])
      wire.send(data)
      if (random(2)) await soon()
    }
    if (manner === 3) { random(2) && !isTls ? wire.reset() : wire.close(); return }
    if (manner === 4) { wire.socket.pause(); await soon(); wire.close(); return }
    const { localPort } = wire.socket
    // Node calls SSL_shutdown twice, which throws away what had come but was not read: see it first.
    if (isTls && path === '/echo') await wire.length(sent.length, 30000)
    wire.end()
    const end = `${await wire.closed(30000)} on ${isTls ? 'TLS' : 'TCP'}`
    const story = () => JSON.stringify(t.events.filter(e => e.client?.endsWith(`:${localPort}`)))
    // A reload that removes nothing must not touch it: who ended properly got everything.
    if (path === '/sum') { assert.equal(wire.text, sum.digest('hex'), `/sum ended with ${end}: ${story()}`); honest++ }
    if (path === '/echo') { assert.ok(wire.got.equals(sent), `/echo: ${wire.got.length} of ${sent.length} bytes, ${end}: ${story()}`); honest++ }
    wire.close()
  }
  const before = descriptors()
  let begun = 0
  let reloads = 0
  const crowd = Array.from({ length: 40 }, async () => { while (begun++ < clients) await one() })
  const reloading = (async () => {
    while (begun < clients) {
      t.write(configuration(++reloads))
      t.child.kill('SIGHUP')
      await until(() => t.events.filter(e => e.event === 'reload').length >= reloads, 'the reload')
      await soon()
    }
  })()
  await Promise.all([...crowd, reloading])
  assert.ok(honest > clients / 20, `${honest} honest tunnels`)
  await until(() => t.counters().connections === 0, 'every connection is gone', 20000)
  const server = await until(() => { const s = t.server(backend.address); return s.active === 0 && s.waiting === 0 && s }, 'every seat is free')
  assert.equal(server.tunnels, 0)
  await until(() => descriptors() <= before, 'every descriptor is closed')
  assert.equal(t.errors, '')
  assert.deepEqual(t.events.filter(e => e.reason === 'INTERNAL' || e.reason === 'NO_MEMORY'), [])
  const told = event => t.events.filter(e => e.event === event).length
  await until(() => told('open') === told('close'), 'each tunnel that was opened is told to be closed')
  await t.stop()
  await backend.stop()
})
