// Connections to servers between requests: shared by all clients, dropped when unclean, replaced when they died.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Backend, Wire, answer, plain, request, acceptFor, key } from './lib/raw.mjs'
import { Turnout, until } from './lib/turnout.mjs'

let turnout, one, two
const serve = name => async (wire, { path, connection }, backend) => {
  if (path === '/leave') { wire.send(answer(200, name)); wire.end(); return 'tunnel' }
  if (path === '/two') { wire.send(answer(200, name) + answer(200, 'unasked')); return }
  if (path === '/mute' || (path === '/mute-one' && name === 'one')) { wire.end(); return 'tunnel' }
  if (path === '/once' && backend.requests.filter(r => r.connection === connection).length > 1) { wire.end(); return 'tunnel' }
  if (path === '/half') { wire.send('HTTP/1.1 200 OK\r\nContent-Le'); wire.end(); return 'tunnel' }
  if (path === '/ws') { wire.send(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`); return 'tunnel' }
  if (path === '/brief') { wire.send(`HTTP/1.1 200 OK\r\nKeep-Alive: timeout=${name === 'one' ? 1 : 2}\r\nContent-Length: 0\r\n\r\n`); return }
  wire.send(answer(200, `${name} ${path} ${connection}`))
}
before(async () => {
  one = await Backend.start(serve('one'))
  two = await Backend.start(serve('two'))
  turnout = await Turnout.start(config)
})
const config = t => `workers: 1
listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools:
  web: { servers: [ ${one.address} ] }
  both: { balance: round_robin, servers: [ ${one.address}, ${two.address} ] }
  short: { servers: [ ${two.address} ], keepalive: { idle: 300ms, max: 2 } }
  never: { servers: [ ${two.address} ], keepalive: { max: 0 } }
routes:
  - { match: { host: both }, pool: both }
  - { match: { host: short }, pool: short }
  - { match: { host: never }, pool: never }
  - { pool: web }
`
after(async () => { await turnout.stop(); await one.stop(); await two.stop() })
beforeEach(() => { one.requests.length = two.requests.length = 0 })

async function ask (path, { method = 'GET', host = 'x', extra = '', body = '' } = {}) {
  const wire = await Wire.connect(turnout.port)
  wire.send(plain(path, extra, method).replace('Host: x', `Host: ${host}`) + body)
  const head = await wire.head()
  const text = (await wire.take(Number(head.fields['content-length'] ?? 0))).toString()
  wire.close()
  return { ...head, body: text }
}

test('clients that come and go share one connection', async () => {
  for (let i = 0; i < 10; i++) assert.equal((await ask('/a')).status, 200)
  assert.equal(new Set(one.requests.map(r => r.connection)).size, 1)
})
test('a handshake goes over a connection that rested, which is then the tunnel\'s', async () => {
  await ask('/a')
  const wire = await Wire.connect(turnout.port)
  wire.send(request('/ws'))
  assert.equal((await wire.head()).status, 101)
  await ask('/a')
  assert.equal(one.requests[0].connection, one.requests[1].connection)
  assert.notEqual(one.requests[1].connection, one.requests[2].connection)
  wire.close()
})
test('what a server says unasked is nobody\'s answer', async () => {
  assert.equal((await ask('/two')).body, 'one')
  const next = await ask('/a')
  assert.match(next.body, /^one \/a /)
  assert.notEqual(one.requests[0].connection, one.requests[1].connection)
})
test('a connection that dies under a request is replaced', async () => {
  await ask('/once')
  assert.equal((await ask('/once')).status, 200)
  assert.equal(one.requests.length, 3)
  await ask('/once')
})
test('but not when something could be done twice: 502', async () => {
  await ask('/a')
  assert.equal((await ask('/once', { method: 'POST', extra: 'Content-Length: 2\r\n', body: 'hi' })).status, 502)
  assert.equal(one.requests.filter(r => r.head.startsWith('POST')).length, 1)
})
test('a server that leaves without a word: the next one is asked', async () => {
  for (let i = 0; i < 4; i++) assert.equal((await ask('/mute-one', { host: 'both' })).body.split(' ')[0], 'two')
  assert.ok(one.requests.length >= 1)
})
test('all of them without a word: 502, and each was asked once on a fresh connection', async () => {
  const before = one.wires.length + two.wires.length
  assert.equal((await ask('/mute', { host: 'both' })).status, 502)
  assert.equal(one.wires.length + two.wires.length, before + 2)
})
test('half an answer is not asked for again', async () => {
  assert.equal((await ask('/half', { host: 'both' })).status, 502)
  assert.equal(one.requests.length + two.requests.length, 1)
})
test('no more than keepalive.max rest, and not longer than keepalive.idle', async () => {
  await Promise.all(Array.from({ length: 5 }, () => ask('/a', { host: 'short' })))
  const used = new Set(two.requests.map(r => r.connection))
  const open = () => two.wires.filter(w => used.has(w.number) && !w.ended).length
  await until(() => open() <= 2, 'two rest')
  await until(() => open() === 0, 'none rests')
})
test('keepalive.max: 0 keeps none', async () => {
  for (let i = 0; i < 3; i++) await ask('/a', { host: 'never' })
  assert.equal(new Set(two.requests.map(r => r.connection)).size, 3)
})
test('a connection is left a second before its server says it leaves', async () => {
  await ask('/brief')
  await ask('/a')
  assert.notEqual(one.requests[0].connection, one.requests[1].connection)
})
test('a reload that takes the server away closes what rests', async () => {
  await ask('/a', { host: 'short' })
  const used = new Set(two.requests.map(r => r.connection))
  assert.equal(used.size, 1)
  turnout.write(config(turnout).replace(`both: { balance: round_robin, servers: [ ${one.address}, ${two.address} ] }`, `both: { servers: [ ${one.address} ] }`)
    .replaceAll(two.address, one.address))
  assert.equal(turnout.command('reload').code, 0)
  await until(() => two.wires.filter(w => used.has(w.number)).every(w => w.ended), 'the connection is closed')
})
