/* Files below a directory for http.c: opened name by name, and no name may be a link. */
#ifndef FILES_H
#define FILES_H

#include <stddef.h>
#include <string.h>

/*
 * open_root() opens a directory by a path of the program's. open_below() opens one name in a directory: a directory, or a
 * regular file. Both return NO_FILE if there is none. read_file() returns the bytes read, 0 at the end, -1 for an error.
 */
#ifdef _WIN32

#include <winsock2.h>

#include <winternl.h>

typedef HANDLE file_type;
#define NO_FILE INVALID_HANDLE_VALUE

static inline void close_file( file_type file )
{
    CloseHandle( file );
}

static inline file_type open_root( const char *path )
{
    return CreateFileA( path, FILE_LIST_DIRECTORY | FILE_TRAVERSE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                        NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL );
}

/* Opens relative to a directory's handle, as the system itself does: so that a name is no path, no device and no stream.
   https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntopenfile */
static inline file_type open_below( file_type directory, const char *name, int is_directory )
{
    BY_HANDLE_FILE_INFORMATION information;
    ACCESS_MASK access = is_directory ? FILE_LIST_DIRECTORY | FILE_TRAVERSE : FILE_READ_DATA | FILE_READ_ATTRIBUTES;
    ULONG kind = is_directory ? FILE_DIRECTORY_FILE : FILE_NON_DIRECTORY_FILE;
    WCHAR wide[256];
    int length = MultiByteToWideChar( CP_UTF8, MB_ERR_INVALID_CHARS, name, -1, wide, 256 );
    UNICODE_STRING unicode;
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK status;
    HANDLE file;

    if( length <= 1 || strpbrk( name, "\\:" ) != NULL || strcmp( name, ".." ) == 0 )
        return NO_FILE;
    unicode.Buffer = wide;
    unicode.Length = (USHORT)( ( length - 1 ) * (int)sizeof( WCHAR ) );
    unicode.MaximumLength = unicode.Length;
    InitializeObjectAttributes( &attributes, &unicode, OBJ_CASE_INSENSITIVE, directory, NULL );
    if( NtOpenFile( &file, access | SYNCHRONIZE, &attributes, &status, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    kind | FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_REPARSE_POINT ) != 0 )
        return NO_FILE;
    if( GetFileInformationByHandle( file, &information ) && !( information.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT ) )
        return file;
    close_file( file );
    return NO_FILE;
}

static inline long long size_of_file( file_type file )
{
    LARGE_INTEGER size;
    return GetFileSizeEx( file, &size ) ? size.QuadPart : -1;
}

static inline long long read_file( file_type file, void *bytes, size_t count )
{
    DWORD got;
    return ReadFile( file, bytes, (DWORD)count, &got, NULL ) ? (long long)got : -1;
}

#else

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int file_type;
#define NO_FILE ( -1 )

static inline void close_file( file_type file )
{
    close( file );
}

static inline file_type open_root( const char *path )
{
    return open( path, O_RDONLY | O_DIRECTORY | O_CLOEXEC );
}

static inline file_type open_below( file_type directory, const char *name, int is_directory )
{
    struct stat status;
    int file = NO_FILE;
    if( strcmp( name, ".." ) != 0 )
        file = openat( directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC );
    if( file == NO_FILE )
        return NO_FILE;
    if( fstat( file, &status ) == 0 && ( is_directory ? S_ISDIR( status.st_mode ) : S_ISREG( status.st_mode ) ) )
        return file;
    close_file( file );
    return NO_FILE;
}

static inline long long size_of_file( file_type file )
{
    struct stat status;
    return fstat( file, &status ) == 0 ? (long long)status.st_size : -1;
}

static inline long long read_file( file_type file, void *bytes, size_t count )
{
    ssize_t got;
    do
        got = read( file, bytes, count );
    while( got == -1 && errno == EINTR );
    return got;
}

#endif

#endif
