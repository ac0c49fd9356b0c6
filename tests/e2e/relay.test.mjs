// The layer-4 life: every byte once and in order, and every way to end.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { Backend, Wire, closeFrame, frame, request, switching, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, simple, until } from './lib/turnout.mjs'

let turnout, backend, echo, echoed
before(async () => {
  backend = await Backend.start(async (wire, { path }, b) => {
    wire.send(switching())
    b.last = wire
    if (path === '/late') wire.socket.on('end', () => setImmediate(() => { wire.send('LATE'); wire.end() }))
    if (path === '/bye') { wire.send('BYE'); wire.end() }
    if (path === '/words') { wire.send(Buffer.alloc(20000, 'w')); setImmediate(() => wire.socket.write('LAST', () => wire.reset())) }
    return 'tunnel'
  })
  echo = await Echo.start('e')
  turnout = await Turnout.start(simple(backend))
  echoed = await Turnout.start(simple(echo))
})
after(async () => { await turnout.stop(); await echoed.stop(); await backend.stop(); await echo.stop() })

const open = async path => { const client = await tunnel(turnout.port, path); return { client, server: await until(() => backend.last) } }
const closeOf = client => turnout.event(e => e.event === 'close' && e.client.endsWith(`:${client.localPort}`))

test('the client half-closes, the late answer is delivered', async () => {
  const { client } = await open('/late')
  client.send('question').end()
  await client.until('LATE')
  assert.equal(await client.closed(), 'FIN')
  assert.equal((await closeOf(client)).reason, 'DONE')
})
test('the server half-closes, the client may go on', async () => {
  const { client, server } = await open('/bye')
  await client.until('BYE')
  assert.equal(await client.closed(), 'FIN')
  client.send('after-fin').end()
  await server.until('after-fin')
  await server.closed()
  assert.equal((await closeOf(client)).reason, 'DONE')
})
test('a server\'s reset is a reset for the client, and named', async () => {
  const { client, server } = await open('/')
  server.reset()
  assert.equal(await client.closed(), 'RST')
  const line = await closeOf(client)
  assert.deepEqual([line.reason, line.letters], ['SERVER_RESET', 'SD'])
})
test('a client\'s reset is a reset for the server, and named', async () => {
  const { client, server } = await open('/')
  const { localPort } = client
  client.reset()
  assert.equal(await server.closed(), 'RST')
  const line = await turnout.event(e => e.event === 'close' && e.client.endsWith(`:${localPort}`))
  assert.deepEqual([line.reason, line.letters], ['CLIENT_RESET', 'CD'])
})
test('what a server sent before it broke is delivered', async () => {
  const { client } = await open('/words')
  await client.length(20004)
  await client.closed()
  assert.equal(client.got.toString(), 'w'.repeat(20000) + 'LAST')
})
test('bytes that are no frames pass untouched, and are seen to be none', async () => {
  const { client, server } = await open('/')
  client.send(Buffer.alloc(100, 0xff))
  await server.length(100)
  const c = turnout.json('connections').connections.find(c => c.client.endsWith(`:${client.localPort}`))
  assert.deepEqual(c.aligned, [false, true])
  client.close()
})
test('close codes of both sides are in the log', async () => {
  const { client, server } = await open('/')
  client.send(closeFrame(4321))
  await server.length(8)
  server.send(closeFrame(1000, false))
  await client.length(4)
  server.end()
  client.end()
  const line = await closeOf(client)
  assert.deepEqual([line.close_code_client, line.close_code_server, line.reason], [4321, 1000, 'DONE'])
})
for (const size of [125, 126, 65535, 65536, 70000, 131072]) {
  test(`a frame of ${size} bytes comes back byte for byte`, async () => {
    const client = await tunnel(echoed.port)
    const payload = Buffer.alloc(size, 'payload')
    client.send(frame(payload, { opcode: 2 }))
    const wanted = frame(payload, { opcode: 2, masked: false })
    assert.ok((await client.take(wanted.length)).equals(wanted))
    client.close()
  })
}
test('two small frames a moment apart do not wait for each other', async () => {
  const client = await tunnel(echoed.port)
  const times = []
  for (let i = 0; i < 20; i++) {
    const began = performance.now()
    client.send(frame('a'))
    await client.take(3)
    client.send(frame('b'))
    await client.take(3)
    times.push(performance.now() - began)
  }
  times.sort((x, y) => x - y)
  assert.ok(times[10] < 20, `median ${times[10]} ms: Nagle and delayed ACKs would make 40`)
  client.close()
})
test('a slow reader gets every byte, and holds the writer back', async () => {
  const { client, server } = await open('/')
  const block = Buffer.alloc(1 << 20)
  for (let i = 0; i < block.length; i++) block[i] = (i * 31 + (i >> 8)) & 255
  const wanted = createHash('sha256')
  const got = createHash('sha256')
  let count = 0
  client.socket.removeAllListeners('data')
  client.socket.pause()
  for (let i = 0; i < 32; i++) { block[0] = i; server.send(Buffer.from(block)); wanted.update(block) }
  server.end()
  await until(() => turnout.json('connections').connections.some(c => c.to_client_unsent_bytes > 0), 'back-pressure is felt')
  client.socket.on('data', data => { got.update(data); count += data.length })
  client.socket.resume()
  await until(() => count === 32 << 20, 'all of it', 20000)
  assert.equal(got.digest('hex'), wanted.digest('hex'))
  client.close()
})
