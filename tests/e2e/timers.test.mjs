// The timer matrix, with scaled times: what each limit bounds, and what it must not.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Backend, Wire, answer, closeFrame, frame, plain, request, switching, tunnel } from './lib/raw.mjs'
import { Turnout, until } from './lib/turnout.mjs'

let turnout, backend
before(async () => {
  backend = await Backend.start(async (wire, { path }, b) => {
    if (path.startsWith('/silent')) { await wire.closed(30000); return 'tunnel' }
    if (path === '/slowbody') { wire.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'); await wire.closed(30000); return 'tunnel' }
    if (!path.startsWith('/t')) { wire.send(answer(200, 'hi')); return }
    b.last = wire
    wire.send(switching())
    return 'tunnel'
  })
  turnout = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools:
  main: { servers: [ ${backend.address} ] }
  few: { servers: [ { address: ${backend.address}, max_connections: 1 } ] }
timeouts: { request_head: 400ms, connect: 1s, handshake: 300ms, response: 300ms, body: 300ms, keepalive: 300ms, queue: 200ms, fin: 300ms, tunnel_idle: 400ms }
routes:
  - { match: { path: /t/long }, pool: main, timeouts: { tunnel_idle: 0, fin: 300ms } }
  - { match: { path: /t/short }, pool: main, timeouts: { tunnel_idle: 0, lifetime: 300ms, lifetime_jitter: 50% } }
  - { match: { path: /t/few }, pool: few, timeouts: { tunnel_idle: 0 } }
  - { pool: main }
`)
})
after(async () => { await turnout.stop(); await backend.stop() })

const closeOf = client => turnout.event(e => e.event === 'close' && e.client.endsWith(`:${client.localPort}`))
async function took (promise) { const began = performance.now(); await promise; return performance.now() - began }

test('a silent tunnel ends after tunnel_idle, by a Close frame, with its own letter and both silences', async () => {
  const client = await tunnel(turnout.port, '/t')
  const time = await took(client.closed())
  assert.ok(time > 350 && time < 1500, `${time} ms`)
  assert.ok(client.got.includes(closeFrame(1001, false)))
  const line = await closeOf(client)
  assert.deepEqual([line.reason, line.letters], ['TUNNEL_IDLE', 'tD'])
  assert.ok(line.client_silent_usec >= 400000 && line.server_silent_usec >= 400000)
})
for (const who of ['client', 'server']) {
  test(`traffic of the ${who} alone keeps it open, beyond every other limit`, async () => {
    const client = await tunnel(turnout.port, '/t')
    const server = backend.last
    const [from, to] = who === 'client' ? [client, server] : [server, client]
    for (let i = 1; i <= 12; i++) { // 1.2 s: three times tunnel_idle, four times the response timeout
      from.send(frame('x', { masked: who === 'client' }))
      await to.length(i * (who === 'client' ? 7 : 3))
      const next = Date.now() + 100
      await until(() => Date.now() >= next)
    }
    assert.equal(client.ended, null)
    client.close()
  })
}
test('a server that does not answer the handshake: 504 in time, the seat is free', async () => {
  const client = await Wire.connect(turnout.port)
  client.send(request('/silent'))
  const time = await took(client.head().then(head => assert.equal(head.status, 504)))
  assert.ok(time > 250 && time < 1500, `${time} ms`)
  const line = await turnout.event(e => e.event === 'refused' && e.reason === 'ANSWER_TOO_SLOW')
  assert.equal(line.letters, 'sH')
  await until(() => turnout.server(backend.address).active === 0)
  client.close()
})
test('a head that trickles in: 408 at an absolute deadline', async () => {
  const client = await Wire.connect(turnout.port)
  const trickle = setInterval(() => client.send('a'), 50)
  client.send('GET / HTTP/1.1\r\nX: ')
  const time = await took(client.head().then(head => assert.equal(head.status, 408)))
  clearInterval(trickle)
  assert.ok(time > 300 && time < 1200, `${time} ms`)
  client.close()
})
test('a client that sends nothing is let go without a word', async () => {
  const client = await Wire.connect(turnout.port)
  assert.equal(await client.closed(), 'FIN')
  assert.equal(client.got.length, 0)
})
test('a kept connection rests no longer than keepalive', async () => {
  const client = await Wire.connect(turnout.port)
  client.send(plain('/'))
  await client.until('hi')
  const time = await took(client.closed())
  assert.ok(time > 200 && time < 1200, `${time} ms`)
})
test('a request body that falls silent: 408', async () => {
  const client = await Wire.connect(turnout.port)
  client.send(plain('/silent', 'Content-Length: 10\r\n', 'POST') + 'half')
  assert.equal((await client.head()).status, 408)
  client.close()
})
test('an answer that falls silent is cut', async () => {
  const client = await Wire.connect(turnout.port)
  client.send(plain('/slowbody'))
  assert.equal((await client.head()).status, 200)
  await client.closed()
  const line = await turnout.event(e => e.reason === 'RESPONSE_TOO_SLOW')
  assert.equal(line.letters, 'sD')
})
test('one end finishes, the other does not within fin', async () => {
  const client = await tunnel(turnout.port, '/t/long')
  client.end()
  const time = await took(client.closed())
  assert.ok(time > 250 && time < 1500, `${time} ms`)
  const line = await closeOf(client)
  assert.deepEqual([line.reason, line.letters], ['SERVER_FIN_TOO_SLOW', 'sL'])
})
test('a reader that stalls is silence too, however much waits for it', async () => {
  const client = await tunnel(turnout.port, '/t')
  const server = backend.last
  client.socket.pause()
  server.send(Buffer.alloc(16 << 20)).end()
  const line = await closeOf(client)
  assert.match(line.reason, /TUNNEL_IDLE|FIN_TOO_SLOW/)
  client.close()
})
test('lifetimes end with jitter, by Close 1001', async () => {
  const lives = await Promise.all(Array.from({ length: 12 }, async () => {
    const client = await tunnel(turnout.port, '/t/short')
    const time = await took(client.closed())
    assert.ok(client.got.includes(closeFrame(1001, false)))
    assert.equal((await closeOf(client)).reason, 'LIFETIME')
    return time
  }))
  assert.ok(Math.min(...lives) > 120 && Math.max(...lives) < 900, lives.join())
  assert.ok(Math.max(...lives) - Math.min(...lives) > 20, 'not all at once')
})
test('no seat within queue: 503, and the letters say queue', async () => {
  const first = await tunnel(turnout.port, '/t/few')
  const second = await Wire.connect(turnout.port)
  second.send(request('/t/few'))
  const head = await second.head()
  assert.equal(head.status, 503)
  assert.ok(Number(head.fields['retry-after']) >= 1)
  assert.equal((await turnout.event(e => e.reason === 'QUEUE_TOO_SLOW')).letters, 'sQ')
  first.close()
  second.close()
})
