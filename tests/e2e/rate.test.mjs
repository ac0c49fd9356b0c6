// Limits per client address: 429 with Retry-After, over all workers, whoever forwards.
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { Backend, Wire, answer, plain, request, switching, tunnel } from './lib/raw.mjs'
import { Turnout, binary, freePort, until } from './lib/turnout.mjs'

let turnout, server, port6
const held = []
const isSanitized = /asan|tsan/.test(binary)
before(async () => {
  server = await Backend.start(async (wire, { fields, path }) => {
    if (fields.upgrade) { wire.send(switching(fields['sec-websocket-key'])); return 'tunnel' }
    if (path.endsWith('held')) await new Promise(resolve => held.push(resolve))
    wire.send(answer(200, 'in'))
  })
  port6 = await freePort('::1')
  turnout = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} }, { listen: "[::1]:${port6}" } ]
trusted_proxies: [ 127.0.0.2, "::1" ]
pools: { web: { servers: [ ${server.address} ] } }
routes:
  - { name: requests, match: { prefix: /requests }, pool: web, rate: { requests: 5/m } }
  - { name: handshakes, match: { prefix: /handshakes }, pool: web, rate: { handshakes: 3/m } }
  - { name: connections, match: { prefix: /connections }, pool: web, rate: { connections: 2 } }
  - { name: quick, match: { prefix: /quick }, pool: web, rate: { requests: 10/s } }
`)
})
after(async () => { for (const go of held) go(); await turnout.stop(); await server.stop() })

async function ask (data, options) {
  const wire = await Wire.connect(options?.host ? port6 : turnout.port, options)
  wire.send(data)
  const got = await wire.head()
  wire.close()
  return got
}
const via = (client, path) => ask(plain(path, `X-Forwarded-For: ${client}\r\n`), { localAddress: '127.0.0.2' })

test('requests: so many at once, then 429 and when to come again', async () => {
  server.requests.length = 0
  for (let i = 0; i < 5; i++) assert.equal((await ask(plain('/requests'))).status, 200)
  const refused = await ask(plain('/requests/one-more'))
  assert.equal(refused.status, 429)
  assert.ok(Number(refused.fields['retry-after']) >= 10 && Number(refused.fields['retry-after']) <= 12, refused.head)
  assert.equal(server.requests.length, 5)
  assert.equal((await turnout.event(e => e.path === '/requests/one-more')).reason, 'RATE_REQUESTS')
  assert.equal((await ask(plain('/requests'), { localAddress: '127.0.0.9' })).status, 200)
  assert.equal((await ask(request('/requests'))).status, 101) // handshakes are counted apart
})
test('the address is the one that trusted proxies say', async () => {
  for (let i = 0; i < 5; i++) assert.equal((await via('192.0.2.1', '/requests')).status, 200)
  assert.equal((await via('192.0.2.1', '/requests')).status, 429)
  assert.equal((await via('192.0.2.2', '/requests')).status, 200)
  // who is not trusted is counted by its own address, whatever it says
  const lies = []
  for (let i = 0; i < 6; i++) lies.push((await ask(plain('/requests', `X-Forwarded-For: 192.0.2.${100 + i}\r\n`), { localAddress: '127.0.0.11' })).status)
  assert.deepEqual(lies, [200, 200, 200, 200, 200, 429])
})
test('IPv6 by /64', async () => {
  const from = client => ask(plain('/requests', `X-Forwarded-For: ${client}\r\n`), { host: '::1' })
  for (let i = 0; i < 5; i++) assert.equal((await from(`2001:db8:0:7::${i + 1}`)).status, 200)
  assert.equal((await from('2001:db8:0:7:ffff::1')).status, 429)
  assert.equal((await from('2001:db8:0:8::1')).status, 200)
})
test('handshakes', async () => {
  const got = []
  for (let i = 0; i < 4; i++) got.push((await ask(request('/handshakes'))).status)
  assert.deepEqual(got, [101, 101, 101, 429])
  assert.equal((await ask(plain('/handshakes'))).status, 200)
  assert.equal((await turnout.event(e => e.reason === 'RATE_HANDSHAKES')).status, 429)
})
test('connections: tunnels and requests under way, until they end', async () => {
  const one = await tunnel(turnout.port, '/connections')
  const two = await Wire.connect(turnout.port)
  two.send(plain('/connections/held'))
  await until(() => held.length === 1)
  assert.equal((await ask(request('/connections'))).status, 429)
  assert.equal((await ask(plain('/connections'))).status, 429)
  held.pop()()
  assert.equal((await two.head()).status, 200)
  // `two` rests now: a connection without a request counts for nothing
  await until(async () => (await ask(plain('/connections'))).status === 200)
  one.reset()
  const three = await until(async () => tunnel(turnout.port, '/connections').catch(() => null))
  const four = await until(async () => tunnel(turnout.port, '/connections').catch(() => null))
  assert.equal((await ask(request('/connections'))).status, 429)
  three.reset(); four.reset(); two.close()
})
test('a reload forgets nobody', async () => {
  const tunnels = [await until(() => tunnel(turnout.port, '/connections').catch(() => null)), await until(() => tunnel(turnout.port, '/connections').catch(() => null))]
  assert.equal(turnout.command('reload').code, 0)
  assert.equal((await ask(request('/connections'))).status, 429)
  assert.equal((await ask(plain('/requests'))).status, 429)
  tunnels[0].reset()
  await until(async () => { const t = await tunnel(turnout.port, '/connections').catch(() => null); t?.reset(); return t })
  tunnels[1].reset()
})
test('requests on one connection, pipelined, and over all workers', async () => {
  const wire = await Wire.connect(turnout.port, { localAddress: '127.0.0.21' })
  wire.send(plain('/quick').repeat(14))
  const got = []
  while (got.length < 14) { const h = await wire.head(); got.push(h.status); await wire.take(Number(h.fields['content-length'])) }
  assert.ok(got.filter(s => s === 200).length >= 10 && got.filter(s => s === 200).length <= 12 && got.includes(429), got.join())
  wire.close()
  const many = await Promise.all(Array.from({ length: 16 }, () => ask(plain('/requests'), { localAddress: '127.0.0.22' })))
  assert.equal(many.filter(g => g.status === 200).length, 5)
})
test('TLS that passes through: addresses and connections, and no route that would have to read a request', async () => {
  const seen = []
  const raw = net.createServer(socket => { seen.push(socket); socket.on('error', () => {}) }) // never answers the hello
  await new Promise(resolve => raw.listen(0, '127.0.0.1', resolve))
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port}, tls: { mode: passthrough } } ]
pools: { web: { servers: [ 127.0.0.1:${raw.address().port} ] } }
routes:
  - { match: { host: token.example }, pool: web, access: { origins: same } }
  - { name: few, match: { host: few.example }, pool: web, access: { deny: 127.0.0.3 }, rate: { connections: 1 } }
`)
  const hello = (servername, localAddress) => { const s = tls.connect({ port: t.port, host: '127.0.0.1', servername, localAddress }); s.on('error', () => {}); return s }
  const one = hello('few.example')
  await until(() => seen.length === 1)
  hello('few.example')
  await t.event(e => e.reason === 'RATE_CONNECTIONS')
  hello('few.example', '127.0.0.3')
  await t.event(e => e.reason === 'ADDRESS_DENIED')
  hello('token.example')
  await t.event(e => e.reason === 'NO_ROUTE')
  assert.equal(seen.length, 1)
  one.destroy()
  seen[0].destroy()
  await until(() => t.counters().connections === 0)
  hello('few.example')
  await until(() => seen.length === 2)
  for (const socket of seen) socket.destroy()
  raw.close()
  await t.stop()
})
const half = process.env.TURNOUT_LONG ? 50000 : 5000
test('10^4 (long: 10^5) addresses do not make it grow without end', { skip: isSanitized && 'allocators of sanitizers keep memory', timeout: 300000 }, async () => {
  const wire = await Wire.connect(turnout.port, { localAddress: '127.0.0.2' })
  const round = async from => {
    for (let i = from; i < from + half; i += 100) {
      let batch = ''
      for (let k = i; k < i + 100; k++) batch += plain('/requests', `X-Forwarded-For: 10.${k >> 16}.${k >> 8 & 255}.${k & 255}\r\n`)
      wire.send(batch)
      for (let k = 0; k < 100; k++) { const h = await wire.head(); assert.equal(h.status, 200); await wire.take(Number(h.fields['content-length'])) }
    }
  }
  await round(0)
  await round(half)
  assert.ok(turnout.memory('VmRSS') < 60000, `${turnout.memory('VmRSS')} kB`)
  wire.close()
})
