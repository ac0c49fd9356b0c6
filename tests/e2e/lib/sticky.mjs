// Servers that say who they are, and requests that remember what they were told.
import http from 'node:http'
import { Wire, acceptFor, plain, request } from './raw.mjs'

// Says who it is and what it was told; gives out what it is asked for (X-Give: Name=value|...); takes WebSocket handshakes.
export class Server {
  static async start (name, port = 0) {
    const s = new Server()
    s.name = name
    s.status = 200
    s.sockets = new Set()
    s.http = http.createServer({ keepAlive: true }, (req, res) => {
      const gives = req.headers['x-give']
      if (gives) for (const line of gives.split('|')) res.appendHeader(line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1))
      const body = JSON.stringify({ server: name, headers: req.headers })
      res.writeHead(s.status, { 'X-Server': name, 'Content-Length': Buffer.byteLength(body) })
      res.end(body)
    })
    s.http.on('connection', socket => { s.sockets.add(socket); socket.on('close', () => s.sockets.delete(socket)).on('error', () => {}) })
    s.http.on('upgrade', (req, socket) => {
      s.upgrade = req.headers
      socket.on('end', () => socket.end())
      const gives = req.headers['x-give'] ? req.headers['x-give'].split('|').map(l => l.replace('=', ': ') + '\r\n').join('') : ''
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Server: ${name}\r\n${gives}Sec-WebSocket-Accept: ${acceptFor(req.headers['sec-websocket-key'])}\r\n\r\n`)
    })
    await new Promise(resolve => s.http.listen(port, '127.0.0.1', resolve))
    s.port = s.http.address().port
    s.address = `127.0.0.1:${s.port}`
    return s
  }

  // As a killed process does: nothing listens any more, and what was open is reset.
  async stop () {
    const closed = new Promise(resolve => this.http.close(resolve))
    for (const socket of this.sockets) socket.resetAndDestroy()
    await closed
  }
}

const told = answer => {
  answer.server = answer.fields['x-server']
  answer.cookies = answer.head.split('\r\n').filter(l => /^set-cookie:/i.test(l)).map(l => l.slice(l.indexOf(':') + 2))
  return answer
}

// One request on a connection of its own, unless `wire` is given: { status, fields, server, headers, cookies }.
export async function get (port, { path = '/', extra = '', wire, localAddress } = {}) {
  const own = wire ?? await Wire.connect(port, { localAddress })
  own.send(plain(path, extra))
  const answer = await own.head()
  const body = (await own.take(Number(answer.fields['content-length'] ?? 0))).toString()
  if (!wire) own.close()
  try { answer.headers = JSON.parse(body).headers } catch { answer.body = body }
  return told(answer)
}

// A handshake; its tunnel is closed again, unless it is to be kept: then it is `wire`.
export async function shake (port, { path = '/', extra = '', keeps = false } = {}) {
  const wire = await Wire.connect(port)
  wire.send(request(path, { extra }))
  const answer = told(await wire.head())
  if (keeps) answer.wire = wire
  else wire.close()
  return answer
}
export const pair = line => line.split(';')[0]
