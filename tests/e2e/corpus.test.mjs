// Every row of tests/corpus through the real binary: what is refused reaches no server, what passes reaches it as it is.
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, test } from 'node:test'
import { asSeenByClient, asSeenByServer, message, messages, rows } from './lib/corpus.mjs'
import { Wire } from './lib/raw.mjs'
import { Turnout, until } from './lib/turnout.mjs'

const limits = 'limits: { request_head: 8k, response_head: 8k, headers: 50, body: 64k }'
const listenOn = server => new Promise(resolve => server.listen(0, '127.0.0.1', resolve))

// Keeps what came, connection by connection, and answers every whole request.
const recorder = {
  connections: [],
  messages: [],
  begin () { // what a row left unfinished must not fail the next one
    for (const c of this.connections) if (c.rest.length) c.socket.destroy()
    this.connections = this.connections.filter(c => !c.isOver && !c.rest.length)
    this.messages = []
  },
  serve (socket) {
    const connection = { socket, rest: Buffer.alloc(0), isOver: false }
    recorder.connections.push(connection)
    socket.on('data', data => {
      connection.rest = Buffer.concat([connection.rest, data])
      for (let next; (next = message(connection.rest)) !== null;) {
        connection.rest = connection.rest.subarray(next.length)
        recorder.messages.push(next)
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n' + (next.first.startsWith('HEAD ') ? '' : 'ok'))
      }
    }).on('error', () => {}).on('close', () => { connection.isOver = true })
  },
  unfinished () { return this.connections.filter(c => c.rest.length) }
}
// Sends what the row says, row by row.
const scripted = {
  row: null,
  connections: [],
  serve (socket) {
    const connection = { number: scripted.connections.length, isOver: false }
    scripted.connections.push(connection)
    let rest = Buffer.alloc(0)
    socket.on('data', data => {
      rest = Buffer.concat([rest, data])
      for (let next; (next = message(rest)) !== null;) {
        rest = rest.subarray(next.length)
        const isRow = next.first.includes(' /row ')
        if (isRow) scripted.usedFor = connection
        else scripted.usedAfter = connection
        socket.write(isRow ? scripted.row.sent : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter')
        if (isRow && scripted.row.words.has('eof')) socket.end()
      }
    }).on('error', () => {}).on('close', () => { connection.isOver = true }).on('end', () => socket.end())
  }
}

const servers = {}
let forRequests, forResponses
before(async () => {
  servers.recorder = net.createServer(socket => recorder.serve(socket))
  servers.scripted = net.createServer({ allowHalfOpen: true }, socket => scripted.serve(socket))
  await listenOn(servers.recorder)
  await listenOn(servers.scripted)
  const conf = server => t => `workers: 1\n${limits}\nlisteners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { servers: [ 127.0.0.1:${server.address().port} ] } }\n`
  forRequests = await Turnout.start(conf(servers.recorder))
  forResponses = await Turnout.start(conf(servers.scripted))
})
after(async () => {
  await forRequests.stop()
  await forResponses.stop()
  servers.recorder.close()
  servers.scripted.close()
})

// The next answer on the wire.
async function answerTo (wire, method) {
  const next = () => message(wire.got, { method, isOver: wire.ended !== null })
  await wire.wait(() => next() !== null || wire.ended, 'an answer')
  const got = next()
  assert.ok(got, `no whole answer but ${JSON.stringify(wire.text.slice(0, 300))}, ${wire.ended}`)
  wire.got = wire.got.subarray(got.length)
  return got
}

const ask = (port, path) => withWire(port, wire => answerTo(wire.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`), 'GET'))

const sendWhole = (wire, bytes) => wire.send(bytes)
// In three pieces, each in a segment of its own.
async function sendCut (wire, bytes) {
  const third = Math.ceil(bytes.length / 3)
  for (let at = 0; at < bytes.length && !wire.ended; at += third) {
    await new Promise(resolve => wire.socket.write(bytes.subarray(at, at + third), resolve))
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

// Hands `use` a connection, which does not outlive it.
async function withWire (port, use) {
  const wire = await Wire.connect(port)
  try { return await use(wire) } finally { wire.close() }
}

async function requestRow (row, send) {
  const passes = row.statuses.filter(status => status === 200).length
  const goesOn = row.words.has('keeps') || (row.statuses.at(-1) === 200 && !row.words.has('closes'))
  const sent = messages(row.sent).found
  recorder.begin()

  await withWire(forRequests.port, async wire => {
    await send(wire, row.sent)
    for (const [i, status] of row.statuses.entries()) {
      const method = status === 200 ? sent[i]?.first.split(' ')[0] ?? 'GET' : 'GET'
      assert.equal((await answerTo(wire, method)).status, status, `answer ${i + 1}`)
    }
    if (goesOn) {
      wire.send('GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      assert.equal((await answerTo(wire, 'GET')).status, 200, 'the next request on the connection')
    }
    await wire.closed()
    assert.equal(wire.text, '', 'nothing behind the last answer')
  })
  // with one worker, what is behind this one's answer would have been seen before it
  assert.equal((await ask(forRequests.port, '/fence')).status, 200)

  const seen = recorder.messages.filter(m => !/^GET \/(next|fence) /.test(m.first))
  const expected = messages(row.sees ?? row.sent).found.slice(0, passes)
  assert.deepEqual(seen.map(asSeenByServer), expected.map(m => m.head + m.body))
  assert.ok(!recorder.messages.some(m => / \/smuggled /.test(m.first)))
  if (row.words.has('cut')) await until(() => recorder.unfinished().every(c => c.isOver), 'the unfinished request is cut')
  else assert.deepEqual(recorder.unfinished().map(c => c.rest.toString('latin1')), [])
}

async function clientOfResponse (wire, row) {
  const method = ['HEAD', 'POST'].find(m => row.words.has(m)) ?? 'GET'
  const minor = row.words.has('1.0') ? 0 : 1
  wire.send(`${method} /row HTTP/1.${minor}\r\nHost: x\r\n${row.words.has('closes') ? '' : 'Connection: keep-alive\r\n'}\r\n`)
  if (row.words.has('cut')) {
    await wire.closed()
    assert.equal(Number(wire.text.split(' ')[1]), row.statuses[0])
    assert.equal(message(wire.got, { method }), null, `it must not look whole: ${JSON.stringify(wire.text)}`)
    return
  }
  const got = []
  do got.push(await answerTo(wire, method)); while (got.at(-1).status < 200)
  assert.equal(got.at(-1).status, row.statuses[0])
  if (row.statuses[0] === 502) return
  const expected = messages(row.sees ?? row.sent, { method, isOver: true }).found
  assert.deepEqual(got.map(asSeenByClient), expected.map(m => m.head + m.body))
  if (row.words.has('closes')) assert.equal(await wire.closed(), 'FIN')
}

async function responseRow (row) {
  scripted.row = row
  scripted.usedFor = scripted.usedAfter = null
  await withWire(forResponses.port, async wire => {
    await clientOfResponse(wire, row)
    assert.equal((await ask(forResponses.port, '/after')).body, 'after')
    assert.equal(row.words.has('cut') ? '' : wire.text, '', 'nothing behind the answer')
  })
  const used = scripted.usedFor
  if (row.words.has('kept')) assert.equal(scripted.usedAfter, used, 'the connection to the server serves on')
  if (row.words.has('fresh') || row.words.has('cut') || row.statuses[0] === 502) {
    assert.notEqual(scripted.usedAfter, used, 'the connection to the server is not used again')
    await until(() => used.isOver, 'the connection to the server is closed')
  }
}

const requests = rows('requests.txt')
const responses = rows('responses.txt')
test('the corpus has its size, and no name twice', () => {
  assert.ok(requests.length >= 200 && responses.length >= 50)
  for (const table of [requests, responses]) assert.equal(new Set(table.map(row => row.name)).size, table.length)
})
for (const row of requests) {
  test(`request, ${row.name}: ${row.statuses.join(', ')}`, async () => {
    await requestRow(row, sendWhole)
    await requestRow(row, sendCut)
  })
}
for (const row of responses) test(`response, ${row.name}: ${row.statuses[0]}`, () => responseRow(row))
