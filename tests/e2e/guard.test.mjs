// The frame guard: what breaks RFC 6455 ends with its code on both sides, and what does not passes untouched.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import WebSocket, { WebSocketServer } from 'ws'
import { Backend, Wire, closeFrame, frame, switching, tunnel } from './lib/raw.mjs'
import { inSeconds, key } from './lib/tokens.mjs'
import { Turnout, binary, freePort, until } from './lib/turnout.mjs'

const deflate = 'Sec-WebSocket-Extensions: permessage-deflate\r\n'
let turnout, backend, dir, plainServer, deflateServer
const token = key('HS256')

const serverWithEcho = async options => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options })
  server.pongs = 0
  server.on('connection', ws => ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })).on('pong', () => server.pongs++))
  await new Promise(resolve => server.on('listening', resolve))
  return server
}

before(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-guard-'))
  writeFileSync(`${dir}/secret`, token.secret)
  backend = await Backend.start(async (wire, request, b) => {
    const query = request.path.split('?')[1] ?? ''
    wire.send(switching(undefined, query.includes('deflate') ? deflate : query.includes('other') ? 'Sec-WebSocket-Extensions: foo\r\n' : ''))
    b.last = wire
    return 'tunnel'
  })
  plainServer = await serverWithEcho({ perMessageDeflate: false, maxPayload: 0 })
  deflateServer = await serverWithEcho({ perMessageDeflate: { threshold: 0 }, maxPayload: 0 })
  turnout = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools:
  raw: { servers: [ ${backend.address} ] }
  plain: { servers: [ 127.0.0.1:${plainServer.address().port} ] }
  deflate: { servers: [ 127.0.0.1:${deflateServer.address().port} ] }
routes:
  - { match: { prefix: /raw }, pool: raw, guard: {} }
  - { match: { prefix: /small }, pool: raw, guard: { max_message: 1000 } }
  - { match: { prefix: /rate }, pool: raw, guard: { messages: 20/s } }
  - { match: { prefix: /ping }, pool: raw, guard: { ping: 400ms, pong: 200ms } }
  - { match: { prefix: /token }, pool: raw, access: { jwt: { keys: { file: ${dir}/secret }, from: query.t, leeway: 0s } }, guard: { close_at_expiry: yes } }
  - { match: { prefix: /plain }, pool: plain, guard: { ping: 600ms, pong: 590ms } }
  - { match: { prefix: /deflate }, pool: deflate, guard: { ping: 600ms, pong: 590ms } }
  - { match: { prefix: /unguarded }, pool: raw }
`)
})
after(async () => {
  await turnout.stop()
  await backend.stop()
  plainServer.close()
  deflateServer.close()
  rmSync(dir, { recursive: true })
})

const open = async where => {
  backend.last = null
  const client = await tunnel(turnout.port, where)
  return { client, server: await until(() => backend.last) }
}
const lineOf = client => turnout.event(e => e.event === 'close' && e.client.endsWith(`:${client.localPort}`))

// The frames in `bytes`, unmasked.
function frames (bytes) {
  const found = []
  while (bytes.length >= 2) {
    let [at, len] = [2, bytes[1] & 127]
    if (len === 126) { len = bytes.readUInt16BE(2); at = 4 } else if (len === 127) { len = Number(bytes.readBigUInt64BE(2)); at = 10 }
    const masked = bytes[1] >> 7
    const mask = masked ? bytes.subarray(at, at + 4) : [0, 0, 0, 0]
    at += masked ? 4 : 0
    if (bytes.length < at + len) break
    found.push({ opcode: bytes[0] & 15, rsv: bytes[0] >> 4 & 7, fin: bytes[0] >> 7, masked: Boolean(masked), payload: Buffer.from(bytes.subarray(at, at + len).map((b, i) => b ^ mask[i % 4])) })
    bytes = bytes.subarray(at + len)
  }
  found.rest = bytes
  return found
}
const codeIn = wire => {
  const last = frames(wire.got).at(-1)
  return last?.opcode === 8 ? last.payload.readUInt16BE(0) : null
}

const bytes = (...parts) => Buffer.concat(parts.map(p => typeof p === 'string' ? Buffer.from(p, 'latin1') : Buffer.isBuffer(p) ? p : Buffer.from(p)))
const mask = [1, 2, 3, 4]
const good = frame('good')

// What a client sends behind a good frame; which frame is wrong.
const violations = [
  ['RSV1 without an extension', bytes([0xc1, 0x80], mask), 'FRAME_RESERVED', 1002, 'reserved bit', 2],
  ['RSV2 although compression was agreed', bytes([0xa1, 0x80], mask), 'FRAME_RESERVED', 1002, 'reserved bit', 2, '?deflate'],
  ['RSV1 on a continuation', bytes([0x41, 0x80], mask, [0xc0, 0x80], mask), 'FRAME_RESERVED', 1002, 'reserved bit', 3, '?deflate'],
  ['a reserved opcode', bytes([0x83, 0x80], mask), 'FRAME_OPCODE', 1002, 'opcode', 2],
  ['a reserved control opcode', bytes([0x8b, 0x80], mask), 'FRAME_OPCODE', 1002, 'opcode', 2],
  ['a fragmented ping', frame('p', { opcode: 9, fin: false }), 'FRAME_CONTROL', 1002, 'fragmented', 2],
  ['a ping of 126 bytes', frame(Buffer.alloc(126), { opcode: 9 }), 'FRAME_CONTROL', 1002, 'longer than 125', 2],
  ['no mask', frame('x', { masked: false }), 'FRAME_MASK', 1002, 'not masked', 2],
  ['a 16-bit length of 5', bytes([0x82, 0xfe, 0, 5], mask, 'abcde'), 'FRAME_LENGTH', 1002, 'shortest', 2],
  ['a negative length', bytes([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], mask), 'FRAME_LENGTH', 1002, 'highest bit', 2],
  ['a continuation of nothing', frame('x', { opcode: 0 }), 'FRAME_SEQUENCE', 1002, 'continues nothing', 2],
  ['a message in a message', bytes(frame('a', { fin: false }), frame('b')), 'FRAME_SEQUENCE', 1002, 'inside another', 3],
  ['a close of one byte', frame('x', { opcode: 8 }), 'FRAME_CLOSE', 1002, 'single byte', 2],
  ['close code 1005', closeFrame(1005), 'FRAME_CLOSE', 1002, 'must not be sent', 2],
  ['close words that are no text', frame(Buffer.from([3, 0xe8, 0xff]), { opcode: 8 }), 'FRAME_TEXT', 1007, 'not UTF-8', 2],
  ['text that is none', frame(Buffer.from([0x61, 0xff])), 'FRAME_TEXT', 1007, 'not UTF-8', 2],
  ['text whose second fragment is none', bytes(frame(Buffer.from([0xe2, 0x82]), { fin: false }), frame('x', { opcode: 0 })), 'FRAME_TEXT', 1007, 'not UTF-8', 3],
  ['text that ends in a character', frame(Buffer.from([0xe2, 0x82])), 'FRAME_TEXT', 1007, 'inside a character', 2]
]
for (const [name, sent, reason, code, words, number, query = ''] of violations) {
  for (const way of ['at once', 'byte by byte']) {
    test(`a client: ${name}, ${way}`, async () => {
      const { client, server } = await open('/raw' + query)
      if (way === 'at once') client.send(bytes(good, sent))
      else {
        client.send(good)
        await server.length(good.length)
        for (let i = 0; i < sent.length && !client.ended; i++) { client.send(sent.subarray(i, i + 1)); await new Promise(resolve => setImmediate(resolve)) }
      }
      await client.closed()
      assert.equal(codeIn(client), code)
      assert.ok(frames(client.got).every(f => !f.masked))
      await server.closed()
      const atServer = frames(server.got)
      assert.equal(atServer[0].payload.toString(), 'good')
      if (way === 'at once' || !['FRAME_TEXT'].includes(reason)) { // what its header condemns is not begun
        assert.equal(codeIn(server), 1001)
        assert.ok(atServer.every(f => f.masked && f.rsv !== 3 && f.opcode !== 3))
        assert.equal(atServer.rest.length, 0)
      }
      const line = await lineOf(client)
      assert.deepEqual([line.reason, line.letters, line.guard_end, line.guard_frame], [reason, 'fD', 'client', number])
      assert.ok(line.guard.includes(words), line.guard)
    })
  }
}
test('a server: a mask, and compression that was not agreed', async () => {
  for (const [sent, reason] of [[frame('x'), 'FRAME_MASK'], [bytes([0xc1, 0x01, 0x00]), 'FRAME_RESERVED']]) {
    const { client, server } = await open('/raw')
    server.send(bytes(frame('fine', { masked: false }), sent))
    await client.closed()
    assert.deepEqual([frames(client.got)[0].payload.toString(), codeIn(client)], ['fine', 1011])
    await server.closed()
    assert.deepEqual([codeIn(server), frames(server.got)[0].masked], [1002, true])
    const line = await lineOf(client)
    assert.deepEqual([line.reason, line.guard_end, line.guard_frame], [reason, 'server', 2])
  }
})
test('early frames are judged, and the 101 comes before the Close', async () => {
  const client = await Wire.connect(turnout.port)
  client.send(bytes(`GET /raw HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`, [0x83, 0x80], mask))
  assert.equal((await client.head()).status, 101)
  await client.closed()
  assert.equal(codeIn(client), 1002)
})
test('what another extension makes of frames is not judged', async () => {
  const { client, server } = await open('/raw?other')
  const sent = bytes([0xf1, 0x81], mask, [0xff])
  client.send(sent)
  await server.length(sent.length)
  assert.ok(server.got.equals(sent))
  client.close()
})
test('behind a Close nothing passes, and the closing handshake goes on', async () => {
  const { client, server } = await open('/raw')
  client.send(bytes(closeFrame(4000), frame('late'), [0x83, 0x80], mask))
  await server.length(8)
  server.send(closeFrame(4000, false)).end()
  await client.length(4)
  assert.equal(codeIn(client), 4000)
  assert.equal(server.got.length, 8)
  client.end()
  assert.equal((await lineOf(client)).reason, 'DONE')
})
test('a route without a guard passes all of it', async () => {
  const { client, server } = await open('/unguarded')
  const sent = bytes([0xf3, 0x01, 0xff])
  client.send(sent)
  await server.length(3)
  assert.ok(server.got.equals(sent))
  client.close()
})

test('max_message to the byte, in one frame and over fragments, both ways', async () => {
  for (const isOver of [false, true]) {
    const size = isOver ? 1001 : 1000
    for (const parts of [[size], [600, size - 600], [0, 1, size - 1, 0]]) {
      const { client, server } = await open('/small')
      const sent = masked => bytes(...parts.map((n, i) => frame(Buffer.alloc(n, 'm'), { opcode: i ? 0 : 2, fin: i === parts.length - 1, masked })))
      server.send(sent(false))
      if (!isOver) {
        await client.length(sent(false).length)
        client.send(sent(true))
        await server.length(sent(true).length)
        client.close()
        continue
      }
      await client.closed()
      assert.equal(codeIn(client), 1011)
      await server.closed()
      assert.equal(codeIn(server), 1009)
      assert.equal((await lineOf(client)).reason, 'MESSAGE_TOO_LARGE')
    }
  }
})
test('a compressed message counts as it is on the wire', async () => {
  const { client, server } = await open('/small?deflate')
  server.send(bytes([0xc2, 126, 3, 232], Buffer.alloc(1000)))
  await client.length(1004)
  server.send(bytes([0xc2, 126, 3, 233], Buffer.alloc(1001)))
  await server.closed()
  assert.equal(codeIn(server), 1009)
})
test('messages: so many at once, then at their rate, then 1008', async () => {
  const { client, server } = await open('/rate')
  client.send(bytes(...Array(20).fill(frame('m'))))
  await server.length(20 * 7)
  const began = performance.now()
  let sent = 20
  while (performance.now() - began < 500) { // slower than the rate: one in 100 ms
    await new Promise(resolve => setTimeout(resolve, 100))
    client.send(frame('m'))
    await server.length(++sent * 7)
  }
  client.send(bytes(...Array(40).fill(frame('m'))))
  await client.closed()
  assert.equal(codeIn(client), 1008)
  await server.closed()
  assert.equal(codeIn(server), 1001)
  const passed = frames(server.got).filter(f => f.opcode === 1).length
  assert.ok(passed >= sent && passed <= 20 + 20 * (performance.now() - began) / 1000 + 1, `${passed} of ${sent + 40}`)
  assert.equal((await lineOf(client)).reason, 'MESSAGES_TOO_MANY')
})

test('a silent client is pinged and closed after ping and pong; its server hears no ping', async () => {
  const { client, server } = await open('/ping')
  const began = performance.now()
  await client.closed()
  const took = performance.now() - began
  assert.deepEqual(frames(client.got).map(f => f.opcode), [9, 8])
  assert.equal(codeIn(client), 1008)
  assert.ok(took > 550 && took < 2500, `${took} ms`)
  await server.closed()
  assert.deepEqual(frames(server.got).map(f => f.opcode), [8])
  const line = await lineOf(client)
  assert.deepEqual([line.reason, line.guard_end, line.guard_frame], ['PONG_TOO_SLOW', 'client', undefined])
})
test('a client that answers stays; only the pongs that answer us are kept from the server', async () => {
  const { client, server } = await open('/ping')
  let answered = 0
  for (let pings = 1; pings <= 3; pings++) {
    await client.wait(() => frames(client.got).length >= pings, `${pings} pings`)
    const ping = frames(client.got)[pings - 1]
    assert.deepEqual([ping.opcode, ping.payload.length], [9, 8])
    const pong = frame(ping.payload, { opcode: 10 })
    client.send(pong.subarray(0, 9)).send(pong.subarray(9))
    answered++
  }
  client.send(frame('mine', { opcode: 10 }))
  await server.length(10)
  assert.deepEqual(frames(server.got).map(f => f.payload.toString()), ['mine'])
  assert.equal(answered, 3)
  client.close()
})
test('a ping waits for the end of a frame of the server\'s', async () => {
  const { client, server } = await open('/ping')
  const large = frame(Buffer.alloc(5000, 'L'), { opcode: 2, masked: false })
  server.send(large.subarray(0, 1000))
  await client.length(1000)
  await assert.rejects(client.length(1001, 900)) // ping and pong have passed
  server.send(bytes(large.subarray(1000), frame('next', { masked: false })))
  await client.wait(() => frames(client.got).length >= 3, 'three frames')
  assert.deepEqual(frames(client.got).slice(0, 3).map(f => [f.opcode, f.payload.length]), [[2, 5000], [9, 8], [1, 4]])
  client.close()
})

test('a tunnel ends with its token', async () => {
  const { client, server } = await open(`/token?t=${token.token({ sub: 'joe', exp: inSeconds(2) })}`)
  const began = performance.now()
  await client.closed()
  const took = performance.now() - began
  assert.ok(took > 800 && took < 3000, `${took} ms`)
  assert.equal(codeIn(client), 1008)
  await server.closed()
  assert.equal(codeIn(server), 1001)
  const line = await lineOf(client)
  assert.deepEqual([line.reason, line.guard_end], ['TOKEN_RAN_OUT', 'client'])
})
test('a token without an end ends no tunnel', async () => {
  const { client, server } = await open(`/token?t=${token.token({ sub: 'joe' })}`)
  client.send(good)
  await server.length(good.length)
  assert.equal(client.ended, null)
  client.close()
})

for (const where of ['plain', 'deflate']) {
  test(`a real client and server, ${where}: messages of all sizes, pings of ours and theirs`, async () => {
    const server = where === 'plain' ? plainServer : deflateServer
    const ws = new WebSocket(`ws://127.0.0.1:${turnout.port}/${where}`, { perMessageDeflate: where === 'deflate' })
    const pongs = server.pongs
    let pings = 0
    ws.on('ping', () => pings++)
    await new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject))
    assert.equal(ws.extensions, where === 'deflate' ? 'permessage-deflate' : '')
    const closed = new Promise(resolve => ws.on('close', resolve))
    const next = () => Promise.race([
      new Promise(resolve => ws.once('message', (data, isBinary) => resolve({ data, isBinary }))),
      closed.then(code => { throw new Error(`closed with ${code}`) })
    ])
    for (const size of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
      for (const isBinary of [false, true]) {
        const data = isBinary ? Buffer.alloc(size, Buffer.from([0, 255, 128, 7])) : '€ü𝄞a'.repeat(size / 4).slice(0, size)
        const answer = next()
        ws.send(data, { binary: isBinary })
        const got = await answer
        assert.equal(got.isBinary, isBinary)
        assert.ok(Buffer.from(data).equals(got.data), `${size}`)
      }
    }
    const answer = next()
    for (let i = 0; i < 100; i++) ws.send('𝄞'.repeat(10), { fin: i === 99 })
    assert.equal((await answer).data.toString(), '𝄞'.repeat(1000))
    await until(() => pings >= 2, 'two pings')
    ;[...server.clients][0].ping('theirs')
    await until(() => server.pongs === pongs + 1, 'the server\'s own pong')
    const seen = pings
    await until(() => pings > seen, 'one more')
    assert.equal(server.pongs, pongs + 1)
    ws.close(4001, 'bye')
    assert.equal(await closed, 4001)
  })
}

test('guarded lanes copy, and say why', async () => {
  const { client } = await open('/raw')
  const c = turnout.json('connections').connections.find(c => c.client.endsWith(`:${client.localPort}`))
  assert.ok(JSON.stringify(c).includes('the frame guard reads every byte'), JSON.stringify(c))
  assert.ok(turnout.counters().guard_ended_ever > 10)
  client.close()
})
test('a drain ends guarded tunnels as it does others: behind the frame under way', async () => {
  const own = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { raw: { servers: [ ${backend.address} ] } }
routes: [ { pool: raw, guard: { ping: 10s, pong: 5s } } ]
`)
  backend.last = null
  const client = await tunnel(own.port)
  const server = await until(() => backend.last)
  const half = frame('half', { masked: false })
  server.send(half.subarray(0, 3))
  client.send(frame('x').subarray(0, 4)) // half a header: held, and never passed on
  await client.length(3)
  assert.equal(own.command('drain', 'pool', 'raw', '--over', '100ms').code, 0)
  server.send(half.subarray(3))
  await client.closed()
  await server.closed()
  assert.deepEqual(frames(client.got).map(f => f.opcode), [1, 8])
  assert.deepEqual([codeIn(client), codeIn(server)], [1012, 1012])
  assert.equal(server.got.length, 8)
  await own.stop()
})
test('a guard where no frame is seen is refused', async () => {
  const port = await freePort()
  const file = path.join(dir, 'through.yaml')
  const text = match => `listeners: [ { listen: 127.0.0.1:${port}, tls: { mode: passthrough } } ]
pools: { raw: { servers: [ ${backend.address} ] } }
routes: [ { match: { host: a.example${match} }, pool: raw, guard: {} }, { pool: raw } ]
`
  writeFileSync(file, text(''))
  const check = () => spawnSync(binary, ['check', file], { encoding: 'utf8' })
  const refused = check()
  assert.notEqual(refused.status, 0)
  assert.match(refused.stdout + refused.stderr, /guard: listener .* passes TLS through/)
  writeFileSync(file, text(', prefix: /'))
  assert.equal(check().status, 0)
})
