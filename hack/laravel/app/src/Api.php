<?php

declare(strict_types=1);

namespace StandIn;

use PDOException;
use Throwable;

/** As much of the API as a demonstration needs. Everybody is a moderator. */
final class Api
{
    private const USER = '11111111-aaaa-11ee-8000-000000000001';

    public function answer(string $method, string $path, string $body): void
    {
        try {
            [$code, $answer] = $this->route($method, explode('/', trim($path, '/')), $body === '' ? [] : json_decode($body, true, 512, JSON_THROW_ON_ERROR));
        } catch (PDOException $e) {
            // Not allowed to append: this version is not live, or not any more.
            [$code, $answer] = $e->getCode() === '42501' ? [503, ['message' => 'This version may not write now.']] : [500, ['message' => 'Server Error']];
            error_log($e->getMessage());
        } catch (NotFound) {
            [$code, $answer] = [404, ['message' => 'Not found']];
        } catch (Throwable $e) {
            [$code, $answer] = [500, ['message' => 'Server Error']];
            error_log($e->getMessage());
        }
        http_response_code($code);
        header('Content-Type: application/json');
        header('X-Version: ' . Environment::version());
        if ($code === 503) {
            header('Retry-After: 1');
            header('Connection: close');
        }
        if ($answer !== null) {
            echo json_encode($answer, JSON_THROW_ON_ERROR);
        }
    }

    /** @return array{int, mixed} */
    private function route(string $method, array $path, array $input): array
    {
        if ($path === ['alive']) {
            return [200, ['status' => 'OK', 'version' => Environment::version(), 'events' => Database::place('EVENTS_DB_', 'nawhas_events'),
                'data' => Database::place('DATA_DB_', 'nawhas_data')]];
        }
        if ($path === ['ready']) {
            Database::data()->first('select 1 from "reciters" limit 1');
            return [200, ['status' => 'OK']];
        }
        if (array_shift($path) !== 'v1') {
            throw new NotFound();
        }
        return match ($method . ' ' . preg_replace('~/[0-9a-f-]{36}~', '/*', implode('/', $path))) {
            'POST reciters' => $this->stored('reciters', $this->create('reciter.created', ['attributes' => ['name' => $input['name'],
                'description' => $input['description'] ?? null, 'avatar' => null]])),
            'GET reciters/*' => $this->viewed('reciters', 'reciter.viewed', $path[1]),
            'PATCH reciters/*' => $this->changed('reciters', 'reciter.changed.', $path[1], array_intersect_key($input, ['name' => 0, 'description' => 0])),
            'DELETE reciters/*' => $this->deleted('reciters', 'reciter.deleted', $path[1]),
            'POST reciters/*/albums' => $this->stored('albums', $this->create('album.created', ['reciterId' => self::existing('reciters', $path[1])['id'],
                'attributes' => ['title' => $input['title'], 'year' => $input['year'], 'artwork' => null]])),
            'POST reciters/*/albums/*/tracks' => $this->stored('tracks', $this->create('track.created', ['albumId' => self::existing('albums', $path[3])['id'],
                'attributes' => ['title' => $input['title']]])),
            'GET reciters/*/albums/*/tracks/*' => $this->viewed('tracks', 'track.viewed', $path[5]),
            default => throw new NotFound(),
        };
    }

    private function create(string $alias, array $payload): string
    {
        $id = self::uuid();
        StoredEvent::store($alias, ['userId' => self::USER, 'id' => $id] + $payload);
        return $id;
    }

    private function stored(string $table, string $id): array
    {
        return [200, self::existing($table, $id)];
    }

    /** A GET that appends. */
    private function viewed(string $table, string $alias, string $id): array
    {
        $row = self::existing($table, $id);
        StoredEvent::store($alias, ['id' => $id, 'visited_at' => date('c'), 'userId' => null]);
        return [200, $row];
    }

    private function changed(string $table, string $prefix, string $id, array $input): array
    {
        $row = self::existing($table, $id);
        foreach ($input as $column => $value) {
            if ($row[$column] !== $value) {
                StoredEvent::store($prefix . $column, ['userId' => self::USER, 'id' => $id, $column => $value]);
            }
        }
        return $this->stored($table, $id);
    }

    private function deleted(string $table, string $alias, string $id): array
    {
        self::existing($table, $id);
        StoredEvent::store($alias, ['userId' => self::USER, 'id' => $id]);
        return [204, null];
    }

    private static function existing(string $table, string $id): array
    {
        return Database::data()->first("select * from \"$table\" where \"id\" = ? limit 1", [$id]) ?? throw new NotFound();
    }

    private static function uuid(): string
    {
        $hex = bin2hex(random_bytes(16));
        return substr($hex, 0, 8) . '-' . substr($hex, 8, 4) . '-11ee-8' . substr($hex, 17, 3) . '-' . substr($hex, 20);
    }
}
