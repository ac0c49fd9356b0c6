// Messages by hand, where a client or a server does what real ones rarely do: answers too early, trickles, floods, stops reading.
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, test } from 'node:test'
import { Backend, Wire, answer, plain } from './lib/raw.mjs'
import { Turnout, binary, until } from './lib/turnout.mjs'

const isSanitized = /asan|tsan/.test(binary)
const withMemory = { skip: isSanitized && 'allocators of sanitizers keep memory' }
const mebibytes = process.env.TURNOUT_LONG ? 1024 : 96
const chunk = Buffer.alloc(65536, 'abcdefghijklmnop')
let turnout, server, flood
before(async () => {
  server = await Backend.start(async (wire, { path, fields, head }, backend) => {
    backend.last = wire
    const length = Number(fields['content-length'] ?? 0)
    if (path === '/413') { wire.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large'); wire.end(); wire.socket.pause(); return 'tunnel' }
    if (path === '/401') { wire.send(answer(401, 'who are you')); await wire.closed(30000); return 'tunnel' } // it reads on
    if (path === '/417') { wire.send(answer(417, 'no')); return 'tunnel' }
    if (path === '/early') { wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n'); await wire.take(length, 30000); wire.send('4\r\nlate\r\n0\r\n\r\n'); return }
    if (path === '/chunks') { await wire.until('\r\n0\r\n\r\n', 30000); const size = wire.got.length; wire.got = Buffer.alloc(0); wire.send(answer(200, String(size))); return }
    if (path === '/later') { await until(() => backend.mayAnswer); wire.send(answer(200, 'later')); return }
    if (path === '/dated') { wire.send(answer(200, '', 'Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n')); return }
    if (path === '/events') { wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\ndata: 1\n\n'); return 'tunnel' }
    if (path === '/broken') { wire.send('HTTP/1.1 200 OK\r\n\r\nhalf of it'); await until(() => backend.mayBreak); wire.reset(); return 'tunnel' }
    if (path === '/hints') { for (const link of 'abc') wire.send(`HTTP/1.1 103 Early Hints\r\nLink: </${link}>\r\n\r\n`); wire.send(answer(200, 'page')); return }
    if (path === '/continue') { wire.send('HTTP/1.1 100 Continue\r\n\r\n'); await wire.take(length); wire.send(answer(200, 'got it')); return }
    if (path.startsWith('/head/')) { wire.send(answer(200, 'ok', `A: ${'a'.repeat(Number(path.slice(6)))}\r\n`)); return }
    await wire.take(length, 30000)
    if (path === '/pause') await new Promise(resolve => setTimeout(resolve, 200))
    wire.send(answer(200, head.startsWith('HEAD') ? '' : `${path} ${length}`))
  })
  // Sends for ever, and counts what the kernel took; reads only when it is told to.
  flood = net.createServer(socket => {
    flood.socket = socket
    flood.sent = flood.heard = 0
    socket.on('error', () => {})
    socket.once('data', data => {
      flood.heard = data.length
      if (!data.includes('GET /down')) { socket.on('data', more => { flood.heard += more.length; if (flood.isPaused) socket.pause() }); if (flood.isPaused) socket.pause(); return }
      socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${mebibytes << 20}\r\n\r\n`)
      let left = (mebibytes << 20) / chunk.length
      const more = () => { while (left-- > 0) { const took = socket.write(chunk); flood.sent += chunk.length; if (!took) return socket.once('drain', more) } }
      more()
    })
  })
  await new Promise(resolve => flood.listen(0, '127.0.0.1', resolve))
  turnout = await Turnout.start(t => `workers: 1
listeners: [ { listen: 127.0.0.1:${t.port} } ]
timeouts: { request_head: 2s, body: 500ms, response: 1s, tunnel_idle: 2500ms }
limits: { headers: 100 }
pools:
  main: { servers: [ ${server.address} ] }
  flood: { servers: [ 127.0.0.1:${flood.address().port} ] }
routes:
  - { match: { host: flood }, pool: flood, timeouts: { response: 60s, body: 60s } }
  - { match: { path: /later }, pool: main, timeouts: { response: 60s } }
  - { pool: main }
`)
})
after(async () => { await turnout.stop(); await server.stop(); flood.socket?.destroy(); flood.close() })

const open = () => Wire.connect(turnout.port)
async function exchange (wire, text) {
  wire.send(text)
  const head = await wire.head()
  const body = (await wire.take(Number(head.fields['content-length'] ?? 0))).toString()
  return { ...head, body }
}
const post = (path, length, extra = '') => plain(path, `Content-Length: ${length}\r\n${extra}`, 'POST')
const settled = async value => { // it does not change any more
  let before
  await until(async () => { const now = value(); const same = now === before; before = now; await new Promise(resolve => setTimeout(resolve, 150)); return same }, 'a figure that stays', 30000)
  return before
}

// --- early answers ---------------------------------------------------------------------------------------------------------------

test('413 from a server that stops reading reaches a client that still sends', async () => {
  const wire = await open()
  wire.send(post('/413', 64 << 20))
  for (let i = 0; i < 64 && !wire.got.includes('too large'); i++) { wire.send(chunk); await new Promise(resolve => setImmediate(resolve)) }
  await wire.until('too large')
  assert.match(wire.text, /^HTTP\/1.1 413 /)
  await wire.closed()
  wire.close()
})
test('401 from a server that reads on reaches the client, and neither connection is used again', async () => {
  const wire = await open()
  const got = await exchange(wire, post('/401', 1 << 20) + 'begun')
  assert.deepEqual([got.status, got.body, got.fields.connection], [401, 'who are you', 'close'])
  const used = server.last
  assert.equal((await exchange(await open(), plain('/a'))).status, 200)
  assert.notEqual(server.last, used)
  await wire.closed()
  await used.closed()
  wire.close()
})
test('Expect: 100-continue refused: the body is not waited for', async () => {
  const wire = await open()
  const got = await exchange(wire, post('/417', 5, 'Expect: 100-continue\r\n'))
  assert.deepEqual([got.status, got.body, got.fields.connection], [417, 'no', 'close'])
  await wire.closed() // whether `hello` would be a body or a request, nobody could say
  wire.close()
})
test('Expect: 100-continue granted', async () => {
  const wire = await open()
  wire.send(post('/continue', 5, 'Expect: 100-continue\r\n'))
  assert.equal((await wire.head()).status, 100)
  assert.equal((await exchange(wire, 'hello')).body, 'got it')
  assert.equal((await exchange(wire, plain('/a'))).body, '/a 0')
  wire.close()
})
test('an answer that begins before the request has ended: both go on', async () => {
  const wire = await open()
  wire.send(post('/early', 1 << 20))
  await wire.until('early')
  for (let i = 0; i < 16; i++) wire.send(chunk)
  await wire.until('0\r\n\r\n')
  wire.close()
})
test('several interim answers pass in order', async () => {
  const wire = await open()
  wire.send(plain('/hints'))
  for (const link of 'abc') { const { status, fields } = await wire.head(); assert.deepEqual([status, fields.link, fields.date], [103, `</${link}>`, undefined]) }
  assert.equal((await wire.head()).status, 200)
  wire.close()
})

test('an answer without length whose server breaks: the client sees it broken, not ended', async () => {
  const wire = await open()
  server.mayBreak = false
  wire.send(plain('/broken'))
  await wire.until('half of it')
  server.mayBreak = true
  assert.equal(await wire.closed(), 'RST')
})

// --- time ------------------------------------------------------------------------------------------------------------------------

test('a slow POST passes, as long as it does not stop', async () => {
  const wire = await open()
  wire.send(post('/slow', 16))
  for (let i = 0; i < 16; i++) { // 2.4 s in all: beyond `response` and `request_head`
    wire.send('x')
    await new Promise(resolve => setTimeout(resolve, 150))
  }
  assert.equal((await wire.head()).status, 200)
  wire.close()
})
test('text/event-stream may be silent beyond `response`, up to tunnel_idle', async () => {
  const wire = await open()
  const began = Date.now()
  wire.send(plain('/events'))
  await wire.until('data: 1')
  setTimeout(() => server.last.send('data: 2\n\n'), 1500)
  await wire.until('data: 2')
  await wire.closed(8000)
  const took = Date.now() - began
  assert.ok(took > 3500 && took < 7000, `${took} ms`)
  wire.close()
})

// --- order and size --------------------------------------------------------------------------------------------------------------

test('a thousand pipelined requests of all kinds are answered in order', async () => {
  const wire = await open()
  const requests = Array.from({ length: 1000 }, (_, i) => [plain(`/n${i}`), plain(`/n${i}`, '', 'HEAD'), post(`/n${i}`, 3) + 'abc', plain(`/n${i}`, '', 'DELETE'), post(`/n${i}`, 0)][i % 5])
  wire.send(requests.join(''))
  for (let i = 0; i < 1000; i++) {
    const { status, fields } = await wire.head(30000)
    assert.equal(status, 200)
    if (i % 5 !== 1) assert.equal((await wire.take(Number(fields['content-length']), 30000)).toString(), `/n${i} ${i % 5 === 2 ? 3 : 0}`)
  }
  assert.equal(wire.text, '')
  wire.close()
})
test('chunks of one byte, 20,000 of them', async () => {
  const wire = await open()
  const body = '1\r\nx\r\n'.repeat(20000) + '0\r\n\r\n'
  assert.equal((await exchange(wire, plain('/chunks', 'Transfer-Encoding: chunked\r\n', 'POST') + body)).body, String(body.length))
  wire.close()
})
test('a server\'s Date stays, a missing one is added', async () => {
  const wire = await open()
  const dated = await exchange(wire, plain('/dated'))
  assert.equal(dated.head.match(/^date:/gim).length, 1)
  assert.equal(dated.fields.date, 'Sun, 06 Nov 1994 08:49:37 GMT')
  const added = await exchange(wire, plain('/a'))
  assert.ok(Math.abs(Date.parse(added.fields.date) - Date.now()) < 3000)
  wire.close()
})

for (const [size, status] of [[9000, 200], [17000, 200], [40000, 502]]) {
  test(`an answer head with a field of ${size} bytes: ${status}`, async () => {
    const wire = await open()
    assert.equal((await exchange(wire, plain(`/head/${size}`))).status, status)
    wire.close()
  })
}
for (const [what, text] of [['a GET', plain('/pause')], ['a POST', post('/pause', 5) + 'hello'], ['two', plain('/pause') + plain('/pause')]]) {
  test(`a client that sends ${what} and its FIN is answered`, async () => {
    const wire = (await open()).send(text).end()
    assert.equal(await wire.closed(), 'FIN')
    assert.equal(wire.text.match(/HTTP\/1.1 200 /g).length, what === 'two' ? 2 : 1)
  })
}
test('a client that sends its FIN in the middle of a body: the server does not see it whole', async () => {
  const wire = (await open()).send(post('/cut', 5) + 'hel').end()
  await wire.closed()
  await until(() => server.requests.at(-1).path === '/cut')
  await server.last.closed()
  assert.equal(server.last.text, 'hel')
})

// --- back-pressure ---------------------------------------------------------------------------------------------------------------

test(`a reader that stops: a download of ${mebibytes} MiB waits in the kernel, not in us`, withMemory, async () => {
  const before = turnout.memory('VmRSS')
  const wire = await open()
  wire.socket.pause()
  wire.send(plain('/down').replace('Host: x', 'Host: flood'))
  await until(() => flood.sent > 0)
  const sent = await settled(() => flood.socket.bytesWritten - flood.socket.writableLength)
  assert.ok(sent < 40 << 20, `${sent} bytes left the server`)
  assert.ok(turnout.memory('VmRSS') < before + 4096, `${before} kB, then ${turnout.memory('VmRSS')}`)
  let count = 0
  wire.socket.removeAllListeners('data')
  wire.socket.on('data', data => { count += data.length }).resume()
  await until(() => count > mebibytes << 20, 'all of it', 120000)
  assert.ok(turnout.memory('VmRSS') < before + 4096)
  wire.close()
})
test(`a server that stops reading: an upload of ${mebibytes} MiB waits with the client`, withMemory, async () => {
  const before = turnout.memory('VmRSS')
  const wire = await open()
  flood.isPaused = true
  wire.send(post('/up', mebibytes << 20).replace('Host: x', 'Host: flood'))
  let left = (mebibytes << 20) / chunk.length
  const more = () => { while (left > 0) { left--; if (!wire.socket.write(chunk)) return wire.socket.once('drain', more) } }
  more()
  const sent = await settled(() => wire.socket.bytesWritten - wire.socket.writableLength)
  assert.ok(sent < 40 << 20, `${sent} bytes left the client`)
  assert.ok(turnout.memory('VmRSS') < before + 4096, `${before} kB, then ${turnout.memory('VmRSS')}`)
  flood.isPaused = false
  flood.socket.resume()
  await until(() => flood.heard > mebibytes << 20, 'all of it', 120000)
  flood.socket.write(answer(200, 'thanks'))
  await wire.until('thanks')
  assert.ok(turnout.memory('VmRSS') < before + 4096)
  wire.close()
})
test('requests pipelined without end behind one that is not answered wait with the client', withMemory, async () => {
  const before = turnout.memory('VmRSS')
  const wire = await open()
  server.mayAnswer = false
  const many = Buffer.from(plain('/more').repeat(1000))
  wire.send(plain('/later'))
  let isDone = false
  let count = 0
  const more = () => { while (!isDone && count < 2000) { count++; if (!wire.socket.write(many)) return wire.socket.once('drain', more) } }
  more()
  const sent = await settled(() => wire.socket.bytesWritten - wire.socket.writableLength)
  assert.ok(sent < 40 << 20, `${sent} bytes`)
  assert.ok(turnout.memory('VmRSS') < before + 4096, `${before} kB, then ${turnout.memory('VmRSS')}`)
  isDone = true
  server.mayAnswer = true
  assert.equal((await wire.head()).status, 200)
  wire.close()
})
